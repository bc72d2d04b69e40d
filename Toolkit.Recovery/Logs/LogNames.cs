using System.Security.Cryptography;
using System.Text;

namespace Toolkit.Recovery.Logs;

/// <summary>What the values and logs of a group are called in a store.</summary>
internal static class LogNames
{
    /// <summary>The value that lists the groups of which this store has a log.</summary>
    public const string Groups = "logged-groups";

    /// <summary>The value that holds the catalogue of the logged groups of the cluster.</summary>
    public const string Catalogue = "recovery";

    private const int LongestReadable = 40;

    public static string Log(string group) => "group-" + Key(group);

    public static string Checkpoint(string group) => "state-" + Key(group);

    public static string Checkpoint(string group, long number) => $"state-{Key(group)}-{number}";

    public static string Index(string group) => "checkpoints-" + Key(group);

    // A store's names are short, a group's need not be.
    private static string Key(string group)
    {
        byte[] name = Encoding.UTF8.GetBytes(group);
        return name.Length <= LongestReadable ? group : Convert.ToHexStringLower(SHA256.HashData(name).AsSpan(0, 16));
    }
}

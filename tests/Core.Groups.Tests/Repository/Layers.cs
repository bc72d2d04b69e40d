// The layers of Core.Groups and which may know which: Model <- Wire <- Protocol <- Hosting -> Transport (README, "Layers").
// Keeps: a layer is a folder. Types of namespace Core.Groups (the public API) belong to the folder that declares them.
// Deviates: a transport proves who a peer is, and hands it on in the words of the protocol's boundary (PeerIdentity).
namespace Core.Groups.Tests.Repository;

internal static class Layers
{
    public const string Project = "Core.Groups";

    /// <summary>Each layer with the other layers that it may use.</summary>
    public static readonly IReadOnlyDictionary<string, string[]> Allowed = new Dictionary<string, string[]>
    {
        ["Model"] = [],
        ["Tracing"] = ["Model"],
        ["Storage"] = ["Model"],
        ["Wire"] = ["Model"],
        ["Protocol"] = ["Model", "Wire", "Tracing"],
        ["Transport"] = ["Model", "Wire"],
        ["Hosting"] = ["Model", "Wire", "Tracing", "Storage", "Protocol", "Transport"],
        ["Replication"] = ["Model", "Wire", "Hosting"],
        ["Testing"] = ["Model", "Wire", "Tracing", "Storage", "Protocol", "Transport", "Hosting", "Replication"],
    };

    /// <summary>Single types of a layer that one more layer may use.</summary>
    public static readonly IReadOnlyCollection<(string User, string Used, string TypeName)> Exceptions =
        [("Transport", "Protocol", "PeerIdentity")];

    /// <summary>The folders in which the same input always gives the same output: no task, clock, chance, socket or file.</summary>
    public static readonly string[] Deterministic = ["Model", "Wire", "Protocol"];

    public static bool MayUse(string user, string used, string typeName) =>
        user == used || Allowed[user].Contains(used) || Exceptions.Contains((user, used, typeName));

    /// <summary>The layer of a source file; null outside Core.Groups.</summary>
    public static string? Of(RepositoryFile file) =>
        file.IsUnder(Project) && file.Path.Split('/') is [_, string layer, _, ..] ? layer : null;

    /// <summary>The layer of a compiled type; null for types of others and for what compilers add outside any namespace.</summary>
    public static string? Of(Type type)
    {
        while (type.DeclaringType is not null) type = type.DeclaringType;
        if (type.Assembly != typeof(NodeId).Assembly || type.Namespace is null) return null;
        if (type.Namespace == Project) return FolderOfPublicType.GetValueOrDefault(type.Name.Split('`')[0]);
        return type.Namespace.StartsWith(Project + ".", StringComparison.Ordinal) ? type.Namespace.Split('.')[2] : null;
    }

    private static readonly Dictionary<string, string> FolderOfPublicType = RepositoryFiles.Sources
        .Where(file => Of(file) is not null && CSharpText.Namespace(file.Code) == Project)
        .SelectMany(file => CSharpText.DeclaredTypes(file.Code).Select(name => (name, layer: Of(file)!)))
        .DistinctBy(pair => pair.name).ToDictionary(pair => pair.name, pair => pair.layer);
}

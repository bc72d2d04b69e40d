// The configuration data of one group: a key/value map that is changed by GBCAST alone, so that every change stands at one
// place among all messages and views of the group. It is part of the group's state.
// Follows: "Exploiting virtual synchrony", section 3.2. Keeps: bytes that are no entry change nothing.
using System.Collections.ObjectModel;
using System.Text;
using Core.Groups.Wire;

namespace Core.Groups.Protocol.Groups;

internal sealed class GroupConfiguration
{
    private SortedDictionary<string, string>? _entries;

    public IReadOnlyDictionary<string, string> Entries => _entries ?? (IReadOnlyDictionary<string, string>)ReadOnlyDictionary<string, string>.Empty;
    private SortedDictionary<string, string> Own => _entries ??= new(StringComparer.Ordinal);

    /// <param name="value">Null: the entry is removed.</param>
    public static byte[] WriteEntry(string key, string? value)
    {
        var writer = new WireWriter();
        writer.Blob(Encoding.UTF8.GetBytes(key));
        writer.Flag(value is not null);
        if (value is not null) writer.Blob(Encoding.UTF8.GetBytes(value));
        return writer.ToArray();
    }

    /// <summary>Carries a change out. False: the body is no change.</summary>
    public bool TryChange(ReadOnlyMemory<byte> body, out string key, out string? value)
    {
        (key, value) = ("", null);
        try
        {
            var reader = new WireReader(body);
            key = Encoding.UTF8.GetString(reader.BlobSpan());
            value = reader.Flag() ? Encoding.UTF8.GetString(reader.BlobSpan()) : null;
        }
        catch (WireFormatException)
        {
            return false;
        }
        if (value is null) _entries?.Remove(key);
        else Own[key] = value;
        return true;
    }

    /// <summary>Takes in the entries of another side of the group that this one does not have.</summary>
    public void Unite(GroupConfiguration other)
    {
        foreach ((string key, string value) in other.Entries) Own.TryAdd(key, value);
    }

    public byte[] Write()
    {
        var writer = new WireWriter();
        writer.Varint(Entries.Count);
        foreach ((string key, string value) in Entries) writer.Blob(WriteEntry(key, value));
        return writer.ToArray();
    }

    public static GroupConfiguration Read(ref WireReader reader)
    {
        var configuration = new GroupConfiguration();
        for (int left = reader.Count(3); left > 0; left--) configuration.TryChange(reader.Blob(), out _, out _);
        return configuration;
    }
}

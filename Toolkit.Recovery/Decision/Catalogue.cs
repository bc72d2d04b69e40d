// What every node of a cluster writes down of the logged groups: that they exist, and who may hold a log of them.
// Keeps: it only grows. A majority of the electorate has it on disk before anybody acts on it, so whoever decides anew knows it.
using System.Collections.Immutable;
using Core.Groups.Replication;

namespace Toolkit.Recovery.Decision;

/// <summary>A node that was let into a group.</summary>
/// <param name="Store">The id of its store; 0: not known.</param>
/// <param name="Stamp">The version of the catalogue with which it was let in: the newest stands.</param>
internal readonly record struct Holder(ulong Store, long Stamp);

/// <summary>One group.</summary>
internal sealed class CatalogueEntry(string name)
{
    public string Name => name;

    /// <summary>How often an operator had decided on it.</summary>
    public long Forced { get; set; }

    /// <summary>Whom the operator chose to go on with, the last time.</summary>
    public ImmutableArray<string> Chosen { get; set; } = [];

    public SortedDictionary<string, Holder> Holders { get; } = new(StringComparer.Ordinal);

    /// <summary>
    /// Takes in what another node knows. Somebody who was let in, and could not act on it because too few had written it down, is in the
    /// union all the same: it is waited for only while no log is known. True: something was new.
    /// </summary>
    public bool Merge(CatalogueEntry other)
    {
        bool isNew = other.Forced > Forced;
        if (isNew) (Forced, Chosen) = (other.Forced, other.Chosen);
        foreach ((string node, Holder holder) in other.Holders)
        {
            if (Holders.TryGetValue(node, out Holder known) && known.Stamp >= holder.Stamp) continue;
            isNew = true;
            Holders[node] = holder;
        }

        return isNew;
    }

    public void Write(BodyWriter writer)
    {
        writer.Text(Name);
        writer.Varint(Forced);
        TableFormat.Write(writer, Chosen);
        writer.Varint(Holders.Count);
        foreach ((string node, Holder holder) in Holders)
        {
            writer.Text(node);
            writer.Int64((long)holder.Store);
            writer.Varint(holder.Stamp);
        }
    }

    public static CatalogueEntry Read(ref BodyReader reader)
    {
        var entry = new CatalogueEntry(reader.Text()) { Forced = reader.Varint() };
        entry.Chosen = TableFormat.ReadNames(ref reader);
        for (int holders = reader.Count(); holders > 0; holders--)
        {
            string node = reader.Text();
            entry.Holders[node] = new Holder((ulong)reader.Int64(), reader.Varint());
        }

        return entry;
    }
}

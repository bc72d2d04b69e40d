// What participants tell of their groups, as records carry it: one node's list in its Recovered, the lists of all in a Status.
// Keeps: what many tell alike stands once in a table, and once in memory. Views of n nodes, told by n members, in Statuses of n
// nodes to n nodes are n⁴ names otherwise, which no memory holds in a cluster of hundreds.
using System.Collections.Immutable;
using Core.Groups.Wire;

namespace Core.Groups.Protocol.Membership;

internal static class ToldTable
{
    /// <summary>The least that a group takes, in bytes, and what its teller adds.</summary>
    private const int SmallestGroup = 25, SmallestOwn = 3;

    public static readonly IReadOnlyDictionary<NodeId, ImmutableArray<GroupTold>> Empty = ImmutableSortedDictionary<NodeId, ImmutableArray<GroupTold>>.Empty;

    // ---- one node's list

    public static void WriteList(WireWriter writer, ImmutableArray<GroupTold> told)
    {
        writer.Varint(told.Length);
        foreach (GroupTold group in told)
        {
            group.WriteGroup(writer);
            group.WriteOwn(writer);
        }
    }

    public static ImmutableArray<GroupTold> ReadList(ref WireReader reader, KnownRecords known)
    {
        var told = ImmutableArray.CreateBuilder<GroupTold>(reader.Count(SmallestGroup + SmallestOwn));
        for (int left = told.Capacity; left > 0; left--) told.Add(known.Group.Read(ref reader).WithOwn(ref reader));
        return told.MoveToImmutable();
    }

    // ---- the lists of all: the different groups, then of each node the places of its groups among them, with its own

    public static void Write(WireWriter writer, IReadOnlyDictionary<NodeId, ImmutableArray<GroupTold>> table)
    {
        WireWriter groups = new(), lists = new(), group = new();
        Dictionary<byte[], int> places = new(SameBytes.Comparer);
        foreach ((NodeId node, ImmutableArray<GroupTold> told) in table)
        {
            lists.Node(node);
            lists.Varint(told.Length);
            foreach (GroupTold one in told)
            {
                group.Reset();
                one.WriteGroup(group);
                byte[] bytes = group.ToArray();
                if (!places.TryGetValue(bytes, out int place))
                {
                    places.Add(bytes, place = places.Count);
                    groups.Raw(bytes);
                }
                lists.Varint(place);
                one.WriteOwn(lists);
            }
        }
        writer.Varint(places.Count);
        writer.Raw(groups.Written);
        writer.Varint(table.Count);
        writer.Raw(lists.Written);
    }

    public static IReadOnlyDictionary<NodeId, ImmutableArray<GroupTold>> Read(ref WireReader reader)
    {
        var groups = new GroupTold[reader.Count(SmallestGroup)];
        for (int place = 0; place < groups.Length; place++) groups[place] = GroupTold.ReadGroup(ref reader);
        var table = new SortedDictionary<NodeId, ImmutableArray<GroupTold>>();
        for (int left = reader.Count(3); left > 0; left--)
        {
            NodeId node = reader.Node();
            var told = ImmutableArray.CreateBuilder<GroupTold>(reader.Count(1 + SmallestOwn));
            for (int more = told.Capacity; more > 0; more--)
            {
                long place = reader.Varint();
                if (place >= groups.Length) throw new WireFormatException("A table names a group that is not in it.");
                told.Add(groups[place].WithOwn(ref reader));
            }
            table[node] = told.MoveToImmutable();
        }
        return table;
    }

    /// <summary>Byte strings are the same when their bytes are.</summary>
    private sealed class SameBytes : IEqualityComparer<byte[]>
    {
        public static readonly SameBytes Comparer = new();

        public bool Equals(byte[]? x, byte[]? y) => x.AsSpan().SequenceEqual(y);

        public int GetHashCode(byte[] bytes)
        {
            var hash = new HashCode();
            hash.AddBytes(bytes);
            return hash.ToHashCode();
        }
    }
}

// Tables of what all have told of their groups: they are read as they were written, hold once what many tell alike, and broken
// bytes are refused.
using System.Collections.Immutable;
using Core.Groups.Protocol.Membership;
using Core.Groups.Wire;

namespace Core.Groups.Tests.Membership;

public sealed class ToldTableTests
{
    private const int Many = 200;

    [Fact]
    public void WhatIsWrittenIsRead()
    {
        GroupTold all = Group(1, members: 3) with { HasState = true, Formerly = [new GroupId(7, 8)] };
        GroupTold some = Group(2, members: 2) with { Awaiting = MemberSet.Of([1]), Side = 2, IsPrimary = false, Along = [Node(1)] };
        var table = new SortedDictionary<NodeId, ImmutableArray<GroupTold>>
        {
            [Node(0)] = [all, some with { HasState = true }],
            [Node(1)] = [some, all with { Awaiting = MemberSet.Of([0, 2]) }],
            [Node(2)] = [],
        };

        IReadOnlyDictionary<NodeId, ImmutableArray<GroupTold>> read = Read(Write(table));

        Assert.Equal(table.Keys, read.Keys);
        foreach (NodeId node in table.Keys) Assert.Equal(table[node].Select(Text), read[node].Select(Text));
    }

    [Fact]
    public void AListIsReadAsItWasWritten()
    {
        ImmutableArray<GroupTold> list = [Group(1, members: 3) with { HasState = true }, Group(2, members: 70) with { Awaiting = MemberSet.Of([0, 63, 64, 69]) }];
        var writer = new WireWriter();
        ToldTable.WriteList(writer, list);
        var reader = new WireReader(writer.ToArray());

        Assert.Equal(list.Select(Text), ToldTable.ReadList(ref reader, new KnownRecords()).Select(Text));
        Assert.True(reader.AtEnd);
        Assert.Equal([Node(0), Node(63), Node(64), Node(69)], list[1].Awaited);
        Assert.Equal([true, false, false], [list[1].Awaits(Node(64)), list[1].Awaits(Node(65)), list[1].Awaits(Node(70))]);
    }

    [Fact]
    public void WhatManyTellAlikeStandsOnce()
    {
        GroupTold group = Group(1, Many);
        byte[] one = Write(new SortedDictionary<NodeId, ImmutableArray<GroupTold>> { [Node(0)] = [group] });
        byte[] all = Write(new SortedDictionary<NodeId, ImmutableArray<GroupTold>>(Enumerable.Range(0, Many).ToDictionary(Node, i =>
            ImmutableArray.Create(Group(1, Many) with { HasState = i > 5, Awaiting = MemberSet.Of([i, 5]) }))));

        Assert.True(all.Length < one.Length + (Many * 60), $"{all.Length} bytes, and {one.Length} of one");      // a name, a place, a set of members each
        var read = Read(all).Values.Select(t => t[0]).ToArray();
        Assert.All(read, told => Assert.True(told.View == read[0].View, "the views are copies"));
    }

    [Fact]
    public void WhatIsToldInSeveralRecordsIsOneInMemory()
    {
        var known = new KnownRecords();
        GroupTold[] read = [.. Enumerable.Range(0, 3).Select(i => ReadList(Group(1, Many) with { Side = i }, known))];

        Assert.All(read, told => Assert.True(told.View == read[0].View, "the views are copies"));
        Assert.Equal([0, 1, 2], read.Select(t => t.Side));
    }

    [Fact]
    public void BrokenBytesAreRefusedAndTakeNoMemory()
    {
        byte[] whole = Write(new SortedDictionary<NodeId, ImmutableArray<GroupTold>>
        {
            [Node(0)] = [Group(1, members: 5) with { Awaiting = MemberSet.Of([4]) }, Group(2, members: 3)],
            [Node(1)] = [Group(1, members: 5)],
        });
        for (int length = 0; length < whole.Length; length++)
        {
            byte[] cut = whole[..length];
            Assert.Throws<WireFormatException>(() => Read(cut));
        }
        long before = GC.GetAllocatedBytesForCurrentThread();
        int refused = 0;
        for (int at = 0; at < whole.Length; at++)
        {
            foreach (byte value in new byte[] { 0, 1, 0x7F, 0x80, 0xFF })
            {
                byte[] broken = [.. whole];
                broken[at] = value;
                try
                {
                    Read(broken);
                }
                catch (WireFormatException)
                {
                    refused++;
                }
            }
        }
        long each = (GC.GetAllocatedBytesForCurrentThread() - before) / (5 * whole.Length);
        Assert.True(refused > whole.Length, $"{refused} of {5 * whole.Length} were refused");
        Assert.True(each < 40 * whole.Length, $"{each} bytes of memory for {whole.Length} on the wire");
    }

    [Fact]
    public void AGroupThatIsNotToldAndAMemberThatItDoesNotHaveAreRefused()
    {
        var table = new WireWriter();
        table.Varint(0);      // no groups
        table.Varint(1);
        table.Node(Node(0));
        table.Varint(1);
        table.Varint(0);      // the first of them
        Group(1, members: 1).WriteOwn(table);
        Assert.Contains("not in it", Assert.Throws<WireFormatException>(() => Read(table.ToArray())).Message, StringComparison.Ordinal);

        GroupTold group = Group(1, members: 3) with { Awaiting = MemberSet.Of([3]) };
        Assert.Contains("does not have", Assert.Throws<WireFormatException>(() => ReadList(group, new KnownRecords())).Message, StringComparison.Ordinal);
    }

    private static NodeId Node(int number) => new($"n{number:000}", 1);

    private static GroupTold Group(ulong id, int members) =>
        new(new GroupId(1, id), $"/g{id}", [.. Enumerable.Range(0, members).Select(Node)], 3, "view", Joined: [Node(0)], Left: [Node(9)]);

    private static byte[] Write(SortedDictionary<NodeId, ImmutableArray<GroupTold>> table)
    {
        var writer = new WireWriter();
        ToldTable.Write(writer, table);
        return writer.ToArray();
    }

    private static IReadOnlyDictionary<NodeId, ImmutableArray<GroupTold>> Read(byte[] bytes)
    {
        var reader = new WireReader(bytes);
        return ToldTable.Read(ref reader);
    }

    private static GroupTold ReadList(GroupTold group, KnownRecords known)
    {
        var writer = new WireWriter();
        ToldTable.WriteList(writer, [group]);
        var reader = new WireReader(writer.ToArray());
        return ToldTable.ReadList(ref reader, known)[0];
    }

    /// <summary>All that is told, for comparisons.</summary>
    private static string Text(GroupTold told) =>
        $"{told.Id} {told.Name} {told.Number} {told.ViewId} {told.IsPrimary} {told.HasState} {told.Side} formerly {string.Join(' ', told.Formerly)}"
        + string.Concat(new[] { told.View, told.Joined, told.Left, told.Along, [.. told.Awaited] }.Select(nodes => $" / {string.Join(' ', nodes)}"));
}

// The bodies of a GBCAST's messages: the operations of an announcement, and what a finish tells a joiner.
using Core.Groups.Wire;

namespace Core.Groups.Protocol.Ordering;

internal static class GroupChangeFormat
{
    /// <summary>What a joiner learns from a finish: which announcement it belongs to, and the view before it.</summary>
    /// <param name="Loading">Of one that stands for all: the members whose applications have not loaded the state.</param>
    internal sealed record Finish(Dependency Announcement, string GroupName, int[] View, long Number, string ViewId, int[] Loading);

    public static byte[] WriteOperations(ReadOnlySpan<GroupOperation> operations)
    {
        var writer = new WireWriter(8 + (4 * operations.Length));
        writer.Varint(operations.Length);
        foreach (GroupOperation operation in operations)
        {
            writer.Byte((byte)operation.Kind);
            writer.Varint(operation.Rank);
        }
        return writer.ToArray();
    }

    public static GroupOperation[] ReadOperations(ReadOnlyMemory<byte> body)
    {
        var reader = new WireReader(body);
        var operations = new GroupOperation[reader.Count(2)];
        for (int i = 0; i < operations.Length; i++) operations[i] = new GroupOperation(Kind(reader.Byte()), Rank(ref reader));
        return operations;
    }

    private static GroupOperationKind Kind(byte kind) =>
        kind <= (byte)GroupOperationKind.Donate ? (GroupOperationKind)kind : throw new WireFormatException("A GBCAST has no known operation.");

    /// <summary>The rank of the member that gives joiners the state.</summary>
    public static int DonorOf(Message announcement)
    {
        GroupOperation donor = Array.Find(ReadOperations(announcement.Body), static o => o.Kind == GroupOperationKind.Donate);
        return donor.Kind == GroupOperationKind.Donate ? donor.Rank : announcement.Sender;
    }

    public static byte[] WriteFinish(GroupOrder group)
    {
        var writer = new WireWriter();
        Message announcement = group.Announcement!;
        writer.Varint(announcement.Sender);
        writer.Varint(announcement.Sequence);
        writer.Text(group.Name);
        WriteView(writer, group.View);
        writer.Varint(group.Number);
        writer.Text(group.ViewId);
        WriteView(writer, group.IsGathered ? [.. group.Loading] : []);
        return writer.ToArray();
    }

    public static Finish ReadFinish(ReadOnlyMemory<byte> body)
    {
        var reader = new WireReader(body);
        return new Finish(new Dependency(Rank(ref reader), reader.Varint()), reader.Text(), ReadView(ref reader), reader.Varint(), reader.Text(), ReadView(ref reader));
    }

    /// <summary>What a marker says of a large group: how far the messages of its sender go, or those of all.</summary>
    public static byte[] WriteCovered(ReadOnlySpan<Dependency> covered)
    {
        if (covered.IsEmpty) return [];
        var writer = new WireWriter(2 + (6 * covered.Length));
        writer.Covered(covered);
        return writer.ToArray();
    }

    public static Dependency[] ReadCovered(ReadOnlyMemory<byte> body, int members)
    {
        var reader = new WireReader(body);
        return reader.Covered(members);
    }

    public static void WriteView(WireWriter writer, int[] view)
    {
        writer.Varint(view.Length);
        foreach (int rank in view) writer.Varint(rank);
    }

    public static int[] ReadView(ref WireReader reader)
    {
        var view = new int[reader.Count()];
        for (int i = 0; i < view.Length; i++) view[i] = Rank(ref reader);
        return view;
    }

    private static int Rank(ref WireReader reader)
    {
        long rank = reader.Varint();
        return rank <= ushort.MaxValue ? (int)rank : throw new WireFormatException("A rank is out of range.");
    }
}

// Sends the control records of a configuration change, and writes the tables of groups that they carry.
using System.Collections.Immutable;
using Core.Groups.Protocol.Links;
using Core.Groups.Wire;

namespace Core.Groups.Protocol.Membership;

internal sealed class ChangeRecords(NodeContext context, ChannelTable channels)
{
    private readonly WireWriter _record = new();

    public void SendToAll(Proposal proposal, ControlRecord kind, Action<WireWriter> body)
    {
        foreach (PeerIdentity member in proposal.Members)
        {
            if (member.Id != context.Self && channels.Find(member.Id) is { } channel) Send(channel, kind, body);
        }
    }

    public void Send(NodeId to, ControlRecord kind, Proposal proposal, Action<WireWriter> body)
    {
        if (channels.Find(to) is { } channel)
        {
            Send(channel, kind, writer =>
            {
                writer.Configuration(proposal.Id);
                body(writer);
            });
        }
    }

    public void SendOrTake(NodeId to, ControlRecord kind, Proposal proposal, Action<WireWriter> body, Action take)
    {
        if (to == context.Self) take();
        else Send(to, kind, proposal, body);
    }

    public void Send(Channel channel, ControlRecord kind, Action<WireWriter> body)
    {
        _record.Reset();
        _record.Byte((byte)kind);
        body(_record);
        byte[] content = _record.ToArray();
        channels.Control(channel, content);
    }

    public static void WriteTold(WireWriter writer, ImmutableArray<GroupTold> told)
    {
        writer.Varint(told.Length);
        foreach (GroupTold group in told) group.Write(writer);
    }

    public static ImmutableArray<GroupTold> ReadTold(ref WireReader reader)
    {
        var told = ImmutableArray.CreateBuilder<GroupTold>(reader.Count(20));
        for (int left = told.Capacity; left > 0; left--) told.Add(GroupTold.Read(ref reader));
        return told.MoveToImmutable();
    }

    public static void WriteTable(WireWriter writer, IReadOnlyDictionary<NodeId, ImmutableArray<GroupTold>> table)
    {
        writer.Varint(table.Count);
        foreach ((NodeId node, ImmutableArray<GroupTold> told) in table)
        {
            writer.Node(node);
            WriteTold(writer, told);
        }
    }

    public static IReadOnlyDictionary<NodeId, ImmutableArray<GroupTold>> ReadTable(ref WireReader reader)
    {
        var table = new SortedDictionary<NodeId, ImmutableArray<GroupTold>>();
        for (int left = reader.Count(3); left > 0; left--) table[reader.Node()] = ReadTold(ref reader);
        return table;
    }
}

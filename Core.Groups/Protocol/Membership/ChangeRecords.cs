// Sends the control records of a configuration change: each is written once, however many get it.
using Core.Groups.Protocol.Links;
using Core.Groups.Wire;

namespace Core.Groups.Protocol.Membership;

internal sealed class ChangeRecords(NodeContext context, ChannelTable channels)
{
    private readonly WireWriter _record = new();

    /// <param name="isTo">Those of the participants that get it; null: all.</param>
    public void SendToAll(Proposal proposal, ControlRecord kind, Action<WireWriter> body, Func<NodeId, bool>? isTo = null)
    {
        ReadOnlySpan<byte> record = [];
        foreach (PeerIdentity member in proposal.Members)
        {
            if (member.Id == context.Self || isTo?.Invoke(member.Id) == false || channels.Find(member.Id) is not { } channel) continue;
            if (record.IsEmpty) record = Fill(kind, body);
            channels.Control(channel, record);
        }
    }

    public void Send(NodeId to, ControlRecord kind, Proposal proposal, Action<WireWriter> body)
    {
        if (channels.Find(to) is { } channel) Send(channel, kind, Of(proposal, body));
    }

    /// <summary>The same to each of these in turn; this node takes it at its place among them.</summary>
    public void SendOrTake(IEnumerable<NodeId> members, ControlRecord kind, Proposal proposal, Action<WireWriter> body, Action take)
    {
        byte[] record = Fill(kind, Of(proposal, body)).ToArray();      // what is taken may fill the next one
        foreach (NodeId member in members)
        {
            if (member == context.Self) take();
            else if (channels.Find(member) is { } channel) channels.Control(channel, record);
        }
    }

    private static Action<WireWriter> Of(Proposal proposal, Action<WireWriter> body) => writer =>
    {
        writer.Configuration(proposal.Id);
        body(writer);
    };

    public void Send(Channel channel, ControlRecord kind, Action<WireWriter> body) => channels.Control(channel, Fill(kind, body));

    /// <summary>To everybody who is connected.</summary>
    public void SendToAll(ControlRecord kind, Action<WireWriter> body)
    {
        ReadOnlySpan<byte> record = Fill(kind, body);
        foreach (Channel channel in channels.All)
        {
            if (channel.Link.IsEstablished) channels.Control(channel, record);
        }
    }

    /// <summary>A record that stands until the next one.</summary>
    private ReadOnlySpan<byte> Fill(ControlRecord kind, Action<WireWriter> body)
    {
        _record.Reset();
        _record.Byte((byte)kind);
        body(_record);
        return _record.Written;
    }
}

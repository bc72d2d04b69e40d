// State transfer: the donor's snapshot is cut where the joiner's membership begins, and leaves when nothing that it
// contains can be lost any more; the joiner orders the new epoch meanwhile and hands it over after the state.
// Keeps: invariant 6: a joiner's state equals the state of the others at its first view, message for message.
// Follows: protocol.md section 7. If the donor fails, the configuration is a new cut, and a new donor snapshots there.
using Core.Groups.Protocol.Links;
using Core.Groups.Protocol.Ordering;
using Core.Groups.Tracing;
using Core.Groups.Wire;

namespace Core.Groups.Protocol.Groups;

internal sealed class StateTransfers(NodeContext context, Services services, GroupService groups)
{
    private const int ChunkSize = 32 << 10;
    private const long LinkWindow = 512 << 10;
    private readonly SortedDictionary<long, Outgoing> _outgoing = [];
    private readonly Dictionary<GroupId, Incoming> _incoming = [];
    private long _lastToken;

    private sealed class Outgoing(GroupMember group, long epoch, PastEntry[] past)
    {
        public GroupMember Group => group;
        public long Epoch => epoch;
        public PastEntry[] Past => past;
        public ReadOnlyMemory<byte>? Content { get; set; }
        /// <summary>Per joiner how much is sent.</summary>
        public SortedDictionary<NodeId, long> Sent { get; } = [];
    }

    private sealed class Incoming(long epoch, long total)
    {
        public long Epoch => epoch;
        public long Total => total;
        public List<ReadOnlyMemory<byte>> Chunks { get; } = [];
        public long Length { get; set; }
    }

    /// <summary>Whether a state waits for stability before it may leave.</summary>
    public bool Waits => _outgoing.Values.Any(o => o.Content is not null && !context.Ordering!.IsStable(o.Past));

    // ---- donor

    public bool IsDonor(GroupMember group) => _outgoing.Count > 0 && _outgoing.Values.Any(o => o.Group == group);

    public void Begin(GroupMember group, IReadOnlyList<NodeId> joiners, long epoch)
    {
        var outgoing = new Outgoing(group, epoch, context.Ordering!.CapturePast());
        foreach (NodeId joiner in joiners) outgoing.Sent.Add(joiner, 0);
        long token = ++_lastToken;
        _outgoing.Add(token, outgoing);
        context.Effects.SaveState(group.Id, token);
    }

    public void OnSaved(long token, ReadOnlyMemory<byte>? state)
    {
        if (!_outgoing.TryGetValue(token, out Outgoing? outgoing)) return;      // a configuration change has overtaken it
        if (state is not null)
        {
            outgoing.Content = state;
            return;
        }
        _outgoing.Remove(token);
        foreach (NodeId joiner in outgoing.Sent.Keys) services.Send(joiner, ServiceRecord.StateFailed, writer => writer.Group(outgoing.Group.Id));
    }

    /// <summary>Sends what may leave, a window at a time, so that messages pass between the chunks. True: all is sent.</summary>
    public void Pump(ChannelTable channels)
    {
        if (_outgoing.Count == 0 || !context.IsWorking) return;
        foreach ((long token, Outgoing outgoing) in _outgoing.ToArray())
        {
            if (outgoing.Content is not { } content || !(context.Settings.Weak.Lacks(WeakRules.SnapshotLeavesAtOnce) || context.Ordering!.IsStable(outgoing.Past))) continue;
            bool complete = true;
            foreach (NodeId joiner in outgoing.Sent.Keys.ToArray())
            {
                if (channels.Find(joiner) is not { } channel) continue;
                complete &= Send(outgoing, content, joiner, channel);
            }
            if (complete) _outgoing.Remove(token);
        }
    }

    private bool Send(Outgoing outgoing, ReadOnlyMemory<byte> content, NodeId joiner, Channel channel)
    {
        long at = outgoing.Sent[joiner], budget = LinkWindow - channel.Link.UnacknowledgedBytes;
        while (at <= content.Length && budget > 0)
        {
            ReadOnlyMemory<byte> chunk = content.Slice((int)at, (int)Math.Min(ChunkSize, content.Length - at));
            services.Send(joiner, ServiceRecord.StateChunk, writer =>
            {
                writer.Group(outgoing.Group.Id);
                writer.Varint(outgoing.Epoch);
                writer.Varint(content.Length);
                writer.Blob(chunk.Span);
            });
            budget -= chunk.Length;
            at += chunk.Length;
            if (at == content.Length) at++;      // one past the end: also an empty state is sent once
        }
        outgoing.Sent[joiner] = at;
        return at > content.Length;
    }

    // ---- joiner

    public void OnChunk(ref WireReader reader)
    {
        GroupId id = reader.Group();
        long epoch = reader.Varint(), total = reader.Varint();
        ReadOnlyMemory<byte> chunk = reader.Blob();
        if (!_incoming.TryGetValue(id, out Incoming? incoming) || incoming.Epoch != epoch) _incoming[id] = incoming = new Incoming(epoch, total);
        incoming.Chunks.Add(chunk);
        incoming.Length += chunk.Length;
        if (incoming.Length > incoming.Total) throw new WireFormatException("A state is longer than it said.");
        if (groups.Find(id) is { } group) TryInstall(group);
    }

    /// <summary>Hands the state over when it is whole and the joiner has come to the place where it was cut.</summary>
    public void TryInstall(GroupMember group)
    {
        if (group.HasState || !group.IsWanted || !_incoming.TryGetValue(group.Id, out Incoming? incoming) || incoming.Length < incoming.Total || incoming.Epoch != group.CutEpoch) return;
        _incoming.Remove(group.Id);
        var state = new byte[incoming.Total];
        int at = 0;
        foreach (ReadOnlyMemory<byte> chunk in incoming.Chunks)
        {
            chunk.CopyTo(state.AsMemory(at));
            at += chunk.Length;
        }
        group.HasState = true;
        group.Awaiting?.Remove(context.Self);
        long view = group.Held.FirstOrDefault(h => h.View is not null).View is { } next ? next.Number - 1 : group.View.Number;
        context.Trace(TraceKind.State, line => line with { Group = group.Name, ViewNumber = view });
        context.Effects.LoadState(group.Id, state);
        foreach (HeldEvent held in group.Held)
        {
            if (held.View is { } shown) groups.Deliveries.View(group, shown);
            else groups.Deliver(group, held.Message!);
        }
        group.Held.Clear();
        foreach (NodeId member in group.View.Members)
        {
            if (member != context.Self) services.Send(member, ServiceRecord.StateInstalled, writer => writer.Group(group.Id));
        }
        groups.LookAgain(group);
    }

    public void OnFailed(ref WireReader reader)
    {
        if (groups.Find(reader.Group()) is not { HasState: false } group) return;
        context.Effects.Completed(group.JoinCall, Outcome.StateTransferFailed);
        groups.Leave(group, 0);
    }

    public void OnInstalledBy(NodeId member, ref WireReader reader) => groups.Find(reader.Group())?.Awaiting?.Remove(member);

    public void OnInstalled()
    {
        _outgoing.Clear();
        _incoming.Clear();
    }

    public void Forget(GroupMember group)
    {
        _incoming.Remove(group.Id);
        foreach (long token in _outgoing.Where(o => o.Value.Group == group).Select(o => o.Key).ToArray()) _outgoing.Remove(token);
    }
}

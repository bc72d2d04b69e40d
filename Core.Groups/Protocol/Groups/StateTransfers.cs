// State transfer: the donor's snapshot is cut where the joiner's membership begins, and leaves when nothing that it
// contains can be lost any more; the joiner orders the new epoch meanwhile and hands it over after the state.
// The state is what the members remember of callers and the configuration data (each: length and bytes), then what the
// application saved.
// Keeps: invariant 6: a joiner's state equals the state of the others at its first view, message for message.
// Follows: protocol.md section 7. If the donor fails, the configuration is a new cut, and a new donor snapshots there.
using Core.Groups.Protocol.Links;
using Core.Groups.Protocol.Ordering;
using Core.Groups.Protocol.Requests;
using Core.Groups.Tracing;
using Core.Groups.Wire;

namespace Core.Groups.Protocol.Groups;

internal sealed class StateTransfers(NodeContext context, Services services, GroupService groups)
{
    private const int ChunkSize = 32 << 10;
    private const long LinkWindow = 512 << 10;
    private readonly SortedDictionary<long, Outgoing> _outgoing = [];
    private readonly Dictionary<GroupId, Incoming> _incoming = [];
    private readonly Dictionary<GroupId, long> _failed = [];
    private readonly HashSet<(GroupId Group, NodeId Member)> _early = [];
    private long _lastToken;

    private sealed class Outgoing(GroupMember group, long epoch, PastEntry[] past)
    {
        public GroupMember Group => group;
        public long Epoch => epoch;
        public PastEntry[] Past => past;
        /// <summary>What is remembered of callers where the state is cut.</summary>
        public byte[] Callers { get; } = group.Callers.Write();
        /// <summary>The configuration data where the state is cut.</summary>
        public byte[] Configuration { get; } = group.Configuration.Write();
        public ReadOnlyMemory<byte>? Content { get; set; }
        /// <summary>Per joiner how much is sent.</summary>
        public SortedDictionary<NodeId, long> Sent { get; } = [];
    }

    private sealed class Incoming(long epoch, long total)
    {
        public long Epoch => epoch;
        public long Length { get; private set; }
        public bool IsWhole => Length == total;
        /// <summary>What the whole consists of, once it is there.</summary>
        public CallerMemory? Callers { get; private set; }
        public GroupConfiguration? Configuration { get; private set; }
        public ReadOnlyMemory<byte> State { get; private set; }

        private readonly List<ReadOnlyMemory<byte>> _chunks = [];

        public void Add(ReadOnlyMemory<byte> chunk)
        {
            _chunks.Add(chunk);
            Length += chunk.Length;
            if (Length > total) throw new WireFormatException("A state is longer than it said.");
            if (!IsWhole) return;
            var whole = new byte[total];
            int at = 0;
            foreach (ReadOnlyMemory<byte> part in _chunks)
            {
                part.CopyTo(whole.AsMemory(at));
                at += part.Length;
            }
            _chunks.Clear();
            var reader = new WireReader(whole);
            var callers = new WireReader(reader.Blob());
            Callers = CallerMemory.Read(ref callers);
            var configuration = new WireReader(reader.Blob());
            Configuration = GroupConfiguration.Read(ref configuration);
            State = whole.AsMemory(reader.Position);
        }
    }

    /// <summary>States that are read and sent in pieces.</summary>
    public StateStreams Streams { get; } = new(context, services, groups);

    /// <summary>Whether a state waits for stability before it may leave.</summary>
    public bool Waits => Streams.Waits || _outgoing.Values.Any(o => o.Content is not null && !context.Ordering!.IsStable(o.Past));

    // ---- donor

    public bool IsDonor(GroupMember group) => Streams.IsDonor(group) || _outgoing.Count > 0 && _outgoing.Values.Any(o => o.Group == group);

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
            outgoing.Content = Compose(outgoing, state.Value.Span);
            return;
        }
        _outgoing.Remove(token);
        TellFailed(outgoing.Group.Id, outgoing.Epoch, outgoing.Sent.Keys);
    }

    /// <summary>The state is large: it is read while it is sent.</summary>
    public void OnOpened(GroupId group, long token, long expected)
    {
        if (_outgoing.Remove(token, out Outgoing? cut))
            Streams.Begin(token, new StateSource(cut.Group, cut.Epoch, cut.Past, cut.Callers, cut.Configuration, cut.Sent.Keys) { Expected = expected });
        else context.Effects.EndState(group, token);      // a configuration change has overtaken it
    }

    public void OnRead(long token, ReadOnlyMemory<byte>? piece, bool isLast)
    {
        if (piece is { } given) Streams.OnRead(token, given, isLast);
        else if (Streams.TakeFailed(token) is { } failed) TellFailed(failed.Group.Id, failed.Epoch, failed.Taken.Keys);
    }

    private void TellFailed(GroupId group, long epoch, IEnumerable<NodeId> joiners)
    {
        foreach (NodeId joiner in joiners)
        {
            services.Send(joiner, ServiceRecord.StateFailed, writer =>
            {
                writer.Group(group);
                writer.Varint(epoch);
            });
        }
    }

    private static byte[] Compose(Outgoing outgoing, ReadOnlySpan<byte> state)
    {
        var head = new WireWriter(outgoing.Callers.Length + outgoing.Configuration.Length + 16);
        head.Blob(outgoing.Callers);
        head.Blob(outgoing.Configuration);
        var content = new byte[head.Length + state.Length];
        head.Written.CopyTo(content);
        state.CopyTo(content.AsSpan(head.Length));
        return content;
    }

    /// <summary>Sends what may leave, a window at a time, so that messages pass between the chunks. True: all is sent.</summary>
    public void Pump(ChannelTable channels)
    {
        if (!context.IsWorking) return;
        Streams.Pump(channels);
        if (_outgoing.Count == 0) return;
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
        // A chunk for an earlier membership of this node, from another donor, may come late.
        if (_incoming.TryGetValue(id, out Incoming? incoming) && incoming.Epoch > epoch) return;
        if (incoming?.Epoch != epoch) _incoming[id] = incoming = new Incoming(epoch, total);
        incoming.Add(chunk);
        if (groups.Find(id) is { } group) TryInstall(group);
    }

    /// <summary>Hands the state over when it is whole and the joiner has come to the place where it was cut.</summary>
    public void TryInstall(GroupMember group)
    {
        if (!group.HasState && group.IsWanted && !group.IsLeaving && _failed.TryGetValue(group.Id, out long failed) && failed == group.CutEpoch)
        {
            Fail(group);
            return;
        }
        if (group.HasState || !group.IsWanted) return;
        if (Streams.TryComplete(group))
        {
            TraceState(group);
            context.Effects.StreamState(group.Id, StateStep.End, default, 0);
            GoOn(group);
            return;
        }
        if (!_incoming.TryGetValue(group.Id, out Incoming? incoming) || !incoming.IsWhole || incoming.Epoch != group.CutEpoch) return;
        _incoming.Remove(group.Id);
        group.Callers = incoming.Callers!;
        group.Configuration = incoming.Configuration!;
        TraceState(group);
        foreach ((string key, string value) in group.Configuration.Entries) context.Effects.Configured(group.Id, key, value);
        context.Effects.LoadState(group.Id, incoming.State);
        GoOn(group);
    }

    private void TraceState(GroupMember group)
    {
        long view = group.Held.FirstOrDefault(h => h.View is not null).View is { } next ? next.Number - 1 : group.View.Number;
        context.Trace(TraceKind.State, line => line with { Group = group.Name, ViewNumber = view });
    }

    /// <summary>The application has the state, or will load it next: what was held follows.</summary>
    private void GoOn(GroupMember group)
    {
        group.HasState = true;
        foreach (HeldEvent held in group.Held)
        {
            if (held.View is { } shown) groups.Deliveries.View(group, shown);
            else if (held.Message is not null) groups.Deliver(group, held.Message);
            else group.Pieces = null;
        }
        group.Held.Clear();
        groups.Announcer.LookAgain(group);
    }

    /// <summary>The application has the state: from now on others may leave it to this member.</summary>
    public void OnLoaded(GroupMember group)
    {
        group.IsLoaded = true;
        group.Awaiting?.Remove(context.Self);
        if (context.IsWorking) TellLoaded(group);
    }

    /// <summary>Tells the members that this one's application has the state.</summary>
    public void TellLoaded(GroupMember group)
    {
        group.IsToldUnloaded = false;
        foreach (NodeId member in group.View.Members)
        {
            if (member != context.Self) services.Send(member, ServiceRecord.StateInstalled, writer => writer.Group(group.Id));
        }
    }

    /// <summary>The donor could not save the state. The joiner may hear of it before it has come to its own membership.</summary>
    public void OnFailed(ref WireReader reader)
    {
        GroupId id = reader.Group();
        _failed[id] = reader.Varint();
        if (groups.Find(id) is { } group) TryInstall(group);
    }

    private void Fail(GroupMember group)
    {
        _failed.Remove(group.Id);
        context.Effects.Completed(group.JoinCall, Outcome.StateTransferFailed);
        groups.Leave(group, 0);
    }

    public void OnLoadedBy(NodeId member, ref WireReader reader)
    {
        GroupId id = reader.Group();
        if (groups.Find(id) is not { } group || group.Awaiting?.Remove(member) != true)
        {
            if (groups.Find(id)?.View.Contains(member) != true) _early.Add((id, member));
            return;
        }
        if (group.IsLeaving) groups.Announcer.LookAgain(group);      // it may have waited for this
    }

    /// <summary>Whether a joiner's word that it has the state came before its view, perhaps before this node's own join.</summary>
    public bool TakeEarly(GroupId group, NodeId joiner) => _early.Remove((group, joiner));

    public void OnInstalled()
    {
        _early.Clear();
        Streams.OnInstalled();
        _outgoing.Clear();
        _incoming.Clear();
        _failed.Clear();
    }

    public void Forget(GroupMember group)
    {
        Streams.Forget(group);
        _incoming.Remove(group.Id);
        _failed.Remove(group.Id);
        foreach (long token in _outgoing.Where(o => o.Value.Group == group).Select(o => o.Key).ToArray()) _outgoing.Remove(token);
    }
}

// State transfer: the donor's snapshot is cut where the joiner's membership begins, and leaves when nothing that it
// contains can be lost any more; the joiner orders the new epoch meanwhile and hands it over after the state.
// The state is what the members remember of callers, the configuration data (each: length and bytes) and the group's former ids,
// then what the application saved. When sides of a group merge, each side's oldest member sends its state to the other sides.
// Keeps: invariant 6: a joiner's state equals the state of the others at its first view, message for message.
// Follows: protocol.md section 7. If the donor fails, the configuration is a new cut, and a new donor snapshots there.
using System.Collections.Immutable;
using Core.Groups.Protocol.Links;
using Core.Groups.Protocol.Requests;
using Core.Groups.Tracing;
using Core.Groups.Wire;

namespace Core.Groups.Protocol.Groups;

internal sealed class StateTransfers(NodeContext context, Services services, GroupService groups)
{
    private const int ChunkSize = 32 << 10;
    private const long LinkWindow = 512 << 10;
    private readonly SortedDictionary<long, Outgoing> _outgoing = [];
    /// <summary>The side of a merge, or this for a state that a joiner gets.</summary>
    private const int NoSide = -1;
    private readonly Dictionary<(GroupId Group, int Side), Incoming> _incoming = [];
    private readonly Dictionary<(GroupId Group, int Side), long> _failed = [];
    private readonly HashSet<(GroupId Group, NodeId Member)> _early = [];
    private long _lastToken;

    private sealed class Outgoing(GroupMember group, long epoch, int side, long[] past)
    {
        public GroupMember Group => group;
        public int Side => side;
        public ImmutableArray<GroupId> Formerly { get; } = group.Formerly;
        public long Epoch => epoch;
        /// <summary>What must be stable before the state may leave.</summary>
        public long[] Past => past;
        /// <summary>What is remembered of callers where the state is cut.</summary>
        public byte[] Callers { get; } = group.Callers.Write();
        /// <summary>The configuration data where the state is cut.</summary>
        public byte[] Configuration { get; } = group.Configuration.Write();
        public ReadOnlyMemory<byte>? Content { get; set; }
        /// <summary>It is of a member that moves, and goes ahead of the view.</summary>
        public bool IsAhead { get; init; }
        /// <summary>Per joiner how much is sent.</summary>
        public SortedDictionary<NodeId, long> Sent { get; } = [];
    }

    private sealed class Incoming(long epoch, long total)
    {
        public long Epoch => epoch;
        public long Length { get; private set; }
        public bool IsWhole => Length == total;
        /// <summary>What the whole consists of, once it is there.</summary>
        public GroupState? State { get; private set; }

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
            State = Decompose(whole);
        }
    }

    /// <summary>States that are read and sent in pieces.</summary>
    public StateStreams Streams { get; } = new(context, services, groups);

    /// <summary>Whether a state waits for stability before it may leave.</summary>
    public bool Waits => Streams.Waits || _outgoing.Values.Any(o => o.Content is not null && !context.Ordering!.IsStable(o.Past));

    // ---- donor

    /// <summary>The only state of a group goes to a node before it is a member.</summary>
    public void BeginMigrant(GroupMember group, NodeId to, long epoch)
    {
        var outgoing = new Outgoing(group, epoch, NoSide, context.Ordering!.CaptureTops()) { IsAhead = true };
        outgoing.Sent.Add(to, 0);
        _outgoing.Add(++_lastToken, outgoing);
        context.Effects.SaveWholeState(group.Id, _lastToken);
    }

    /// <summary>It stays here after all.</summary>
    public void ForgetMigrant(GroupMember group)
    {
        foreach (long token in _outgoing.Where(o => o.Value.Group == group && o.Value.IsAhead).Select(o => o.Key).ToArray()) _outgoing.Remove(token);
    }

    public bool IsDonor(GroupMember group) => Streams.IsDonor(group) || _outgoing.Values.Any(o => o.Group == group);

    public void Begin(GroupMember group, IReadOnlyList<NodeId> joiners, long epoch) => Begin(group, joiners, epoch, NoSide);

    /// <summary>The sides of a group have met: everybody saves the state of its side, and the oldest of each side sends it to the others.</summary>
    public void BeginMerge(GroupMember group)
    {
        if (group.Merge is not { Own: >= 0 } merge) return;
        ImmutableArray<NodeId> own = merge.Sides[merge.Own];
        Begin(group, own[0] == context.Self ? [.. group.View.Members.Where(m => !own.Contains(m))] : [], 0, merge.Own);
    }

    private void Begin(GroupMember group, IReadOnlyList<NodeId> joiners, long epoch, int side)
    {
        var outgoing = new Outgoing(group, epoch, side, context.Ordering!.CaptureTops());
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
            byte[] content = Compose(outgoing, state.Value.Span);
            outgoing.Content = content;
            if (outgoing.Sent.Count == 0) _outgoing.Remove(token);
            if (outgoing.Side != NoSide) Take(outgoing, content);
            return;
        }
        _outgoing.Remove(token);
        if (outgoing.IsAhead)
        {
            groups.Migrations.Fail(outgoing.Group, "its state could not be saved");
            return;
        }
        if (outgoing.Side != NoSide) Take(outgoing, null);
        TellFailed(outgoing.Group.Id, outgoing.Side, outgoing.Epoch, outgoing.Sent.Keys);
    }

    /// <summary>The state is large: it is read while it is sent. Not that of a side in a merge.</summary>
    public void OnOpened(GroupId group, long token, long expected)
    {
        if (_outgoing.TryGetValue(token, out Outgoing? cut) && cut.Side == NoSide)
        {
            _outgoing.Remove(token);
            Streams.Begin(token, new StateSource(cut.Group, cut.Epoch, cut.Past, Compose(cut, default), cut.Sent.Keys) { Expected = expected });
            return;
        }
        context.Effects.EndState(group, token);      // a configuration change has overtaken it
        OnSaved(token, null);
    }

    public void OnRead(long token, ReadOnlyMemory<byte>? piece, bool isLast)
    {
        if (piece is { } given) Streams.OnRead(token, given, isLast);
        else if (Streams.TakeFailed(token) is { } failed) TellFailed(failed.Group.Id, NoSide, failed.Epoch, failed.Taken.Keys);
    }

    private void TellFailed(GroupId group, int side, long epoch, IEnumerable<NodeId> joiners)
    {
        foreach (NodeId joiner in joiners)
        {
            services.Send(joiner, ServiceRecord.StateFailed, writer =>
            {
                writer.Group(group);
                writer.Varint(side + 1);
                writer.Varint(epoch);
            });
        }
    }

    /// <summary>The state of this node's own side in a merge; null: the application could not save it.</summary>
    private void Take(Outgoing outgoing, byte[]? content)
    {
        if (outgoing.Group.Merge is not { } merge) return;
        if (content is null)
        {
            context.Effects.Log(ProtocolLogLevel.Warning, $"{context.Self} could not save the state of {outgoing.Group.Name} for a merge: the other sides go on without it");
            merge.Fail(outgoing.Side);
        }
        else merge.Add(outgoing.Side, Decompose(content));
        TryInstall(outgoing.Group);
    }

    private static byte[] Compose(Outgoing outgoing, ReadOnlySpan<byte> state)
    {
        var head = new WireWriter(outgoing.Callers.Length + outgoing.Configuration.Length + 16);
        head.Blob(outgoing.Callers);
        head.Blob(outgoing.Configuration);
        Services.WriteGroups(head, outgoing.Formerly);
        var content = new byte[head.Length + state.Length];
        head.Written.CopyTo(content);
        state.CopyTo(content.AsSpan(head.Length));
        return content;
    }

    public static GroupState Decompose(byte[] content)
    {
        var reader = new WireReader(content);
        var callers = new WireReader(reader.Blob());
        var configuration = new WireReader(reader.Blob());
        ImmutableArray<GroupId> formerly = Services.ReadGroups(ref reader);
        return new GroupState(CallerMemory.Read(ref callers), GroupConfiguration.Read(ref configuration), formerly, content.AsMemory(reader.Position));
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
                writer.Varint(outgoing.Side + 1);
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
        int side = ReadSide(ref reader);
        long epoch = reader.Varint(), total = reader.Varint();
        ReadOnlyMemory<byte> chunk = reader.Blob();
        // A chunk for an earlier membership of this node, from another donor, may come late.
        if (_incoming.TryGetValue((id, side), out Incoming? incoming) && incoming.Epoch > epoch) return;
        if (incoming?.Epoch != epoch) _incoming[(id, side)] = incoming = new Incoming(epoch, total);
        incoming.Add(chunk);
        if (groups.Find(id) is { } group) TryInstall(group);
        else if (incoming.IsWhole) groups.Migrations.OnStateHere(id);
    }

    /// <summary>Hands the state over when it is whole and the joiner has come to the place where it was cut.</summary>
    public void TryInstall(GroupMember group)
    {
        if (group.Merge is { } merge)
        {
            if (context.IsWorking) TryReconcile(group, merge);
            return;
        }
        if (!group.HasState && group.IsWanted && !group.IsLeaving && _failed.TryGetValue((group.Id, NoSide), out long failed) && failed == group.CutEpoch)
        {
            Fail(group);
            return;
        }
        if (group.HasState || !group.IsWanted) return;
        if (Streams.TryHandOver(group) is { } streamed)
        {
            TakeState(group, streamed, group.ShownView, isStreamed: true);
            HandOver(group);
            return;
        }
        if (!_incoming.TryGetValue((group.Id, NoSide), out Incoming? incoming) || !incoming.IsWhole || incoming.Epoch != group.CutEpoch) return;
        _incoming.Remove((group.Id, NoSide));
        TakeState(group, incoming.State!, group.ShownView);
        HandOver(group);
    }

    /// <param name="view">The number of the view in which it was cut, as far as this node was shown it.</param>
    /// <param name="isStreamed">The application has been given its part, and the configuration data, already.</param>
    private void TakeState(GroupMember group, GroupState state, long view, bool isStreamed = false)
    {
        group.HasState = true;
        group.Callers = state.Callers;
        group.Configuration = state.Configuration;
        group.Formerly = [.. group.Formerly.Union(state.Formerly)];
        groups.Merger.KnowFormer(group);
        context.Trace(TraceKind.State, line => line with { Group = group.Name, ViewNumber = view });
        group.LoadsExpected++;
        if (isStreamed)
        {
            context.Effects.StreamState(group.Id, StateStep.End, default, 0);
            return;
        }
        foreach ((string key, string value) in group.Configuration.Entries) context.Effects.Configured(group.Id, key, value);
        context.Effects.LoadState(group.Id, state.Application);
    }

    /// <summary>What a joiner has ordered since its state was cut.</summary>
    private void HandOver(GroupMember group)
    {
        foreach (HeldEvent held in group.Held)
        {
            if (held.View is { } shown) groups.Deliveries.View(group, shown);
            else if (held.Message is not null) groups.Deliver(group, held.Message);
            else group.Pieces = null;
        }
        group.Held.Clear();
        group.Held.Capacity = 0;
        groups.Announcer.LookAgain(group);
    }

    /// <summary>
    /// Each side's state is here: the application makes one of them, all members of the same states in the same order, and goes on.
    /// What it is told of that comes before what is held.
    /// </summary>
    private void TryReconcile(GroupMember group, GroupMerge merge)
    {
        for (int side = 0; side < merge.Sides.Length; side++)
        {
            if (_incoming.TryGetValue((group.Id, side), out Incoming? incoming) && incoming.IsWhole) merge.Add(side, incoming.State!);
            if (_failed.ContainsKey((group.Id, side))) merge.Fail(side);
        }
        if (!merge.IsComplete) return;
        for (int side = 0; side < merge.Sides.Length; side++) _incoming.Remove((group.Id, side));
        if (!group.HasState && merge.First is null)
        {
            group.Merge = null;
            Fail(group);
            groups.Merger.OnEnded();
            return;
        }
        context.Held!.Suspend(() => Reconcile(group, merge));
        group.Merge = null;
        HandOver(group);
        groups.Announcer.LookAgain(group);
        groups.Merger.OnEnded();
    }

    private void Reconcile(GroupMember group, GroupMerge merge)
    {
        if (!group.HasState) TakeState(group, merge.First!, merge.View);
        else context.Trace(TraceKind.State, line => line with { Group = group.Name, ViewNumber = merge.View });
        var (callers, configuration, formerly) = merge.Unite();
        foreach ((string key, string value) in configuration.Entries)
        {
            if (!group.Configuration.Entries.TryGetValue(key, out string? own) || own != value) context.Effects.Configured(group.Id, key, value);
        }
        (group.Callers, group.Configuration) = (callers, configuration);
        group.Formerly = [.. group.Formerly.Union(formerly)];
        groups.Merger.KnowFormer(group);
        group.LoadsExpected++;
        context.Effects.ReconcileState(group.Id, merge.Describe());
    }

    /// <summary>The application has the state: from now on others may leave it to this member.</summary>
    public void OnLoaded(GroupMember group)
    {
        if (group.LoadsExpected > 0 && --group.LoadsExpected > 0) return;
        if (group.Merge is { } merge)
        {
            merge.WasLoaded = true;      // what it was given before the merge
            return;
        }
        group.IsLoaded = true;
        TakeAwaited(context.Self, group);
        if (context.IsWorking) TellLoaded(group);
    }

    /// <summary>Tells the members that this one's application has the state, and joiners that were told by its finish that it has not.</summary>
    public void TellLoaded(GroupMember group)
    {
        group.IsToldUnloaded = false;
        IEnumerable<NodeId> joining = groups.OrderOf(group.Id) is { FinishSent: true } order ? order.ViewAfter().Select(context.NodeAt) : [];
        foreach (NodeId member in group.View.Members.Union(joining))
        {
            if (member != context.Self) services.Send(member, ServiceRecord.StateInstalled, writer => writer.Group(group.Id));
        }
    }

    /// <summary>The donor could not save the state. The joiner may hear of it before it has come to its own membership.</summary>
    public void OnFailed(ref WireReader reader)
    {
        GroupId id = reader.Group();
        int side = ReadSide(ref reader);
        _failed[(id, side)] = reader.Varint();
        if (groups.Find(id) is { } group) TryInstall(group);
    }

    private static int ReadSide(ref WireReader reader) => (int)Math.Min(reader.Varint(), int.MaxValue) - 1;

    private void Fail(GroupMember group)
    {
        _failed.Remove((group.Id, NoSide));
        context.Effects.Completed(group.JoinCall, Outcome.StateTransferFailed);
        groups.Leave(group, 0);
    }

    public void OnLoadedBy(NodeId member, ref WireReader reader)
    {
        GroupId id = reader.Group();
        if (groups.Find(id) is not { } group || !TakeAwaited(member, group))
        {
            if (groups.Find(id)?.View.Contains(member) != true) _early.Add((id, member));
            return;
        }
        if (group.IsLeaving || group.Migration is not null) groups.Announcer.LookAgain(group);      // it may have waited for this
    }

    /// <summary>A member is not waited for any more. False: it was not.</summary>
    private static bool TakeAwaited(NodeId member, GroupMember group)
    {
        if (group.Awaiting?.Remove(member) != true) return false;
        if (group.Awaiting.Count == 0) group.Awaiting = null;
        return true;
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

    /// <summary>A membership has ended. The node may have joined again already: the state of a later membership stays.</summary>
    public void Forget(GroupMember group)
    {
        Streams.Forget(group);
        foreach (var key in _incoming.Where(i => i.Key.Group == group.Id && i.Value.Epoch <= group.CutEpoch).Select(i => i.Key).ToArray()) _incoming.Remove(key);
        foreach (var key in _failed.Where(f => f.Key.Group == group.Id && f.Value <= group.CutEpoch).Select(f => f.Key).ToArray()) _failed.Remove(key);
        foreach (long token in _outgoing.Where(o => o.Value.Group == group).Select(o => o.Key).ToArray()) _outgoing.Remove(token);
    }
}

// States that are too large for one object: the donor reads its snapshot piece by piece, the joiner takes it piece by piece.
// Keeps: no more than a window of a state is under way, however large it is; the joiner's application has all of it before the
// joiner counts as one that has the state. What was begun with a donor that fails is void: a new donor begins anew.
// Follows: protocol.md sections 2 (bulk state has its own flow control) and 7.
using Core.Groups.Protocol.Links;
using Core.Groups.Wire;

namespace Core.Groups.Protocol.Groups;

/// <summary>A snapshot that is read while it is sent: where it was cut, and for whom.</summary>
internal sealed class StateSource(GroupMember group, long epoch, long[] past, byte[] head, IEnumerable<NodeId> joiners)
{
    public GroupMember Group => group;
    public long Epoch => epoch;
    /// <summary>What must be stable before the state may leave.</summary>
    public long[] Past => past;
    /// <summary>What the library remembers of the group where the state is cut.</summary>
    public byte[] Head => head;
    /// <summary>The bytes that each joiner has taken.</summary>
    public SortedDictionary<NodeId, long> Taken { get; } = new(joiners.ToDictionary(j => j, _ => 0L));
    /// <summary>The size that the application expects, in bytes; -1: it does not know.</summary>
    public long Expected { get; init; } = -1;
    public long Sent { get; set; }
    public bool IsBegun { get; set; }
    /// <summary>The application was asked for the next piece.</summary>
    public bool IsReading { get; set; }
}

internal sealed class StateStreams(NodeContext context, Services services, GroupService groups)
{
    /// <summary>The largest piece, in bytes.</summary>
    public const int PieceSize = 64 << 10;
    /// <summary>How many bytes may be under way to the slowest joiner.</summary>
    private const long Window = 1 << 20;
    private const long LinkWindow = 512 << 10;

    private readonly SortedDictionary<long, StateSource> _sources = [];
    private readonly Dictionary<GroupId, Incoming> _incoming = [];

    private sealed class Incoming(NodeId donor, long epoch, long expected, GroupState head)
    {
        public NodeId Donor => donor;
        public long Epoch => epoch;
        public long Expected => expected;
        public GroupState Head => head;
        /// <summary>What came before the joiner was at the place where the state was cut.</summary>
        public Queue<ReadOnlyMemory<byte>> Early { get; } = new();
        public long Taken { get; set; }
        public long Told { get; set; }
        public bool IsBegun { get; set; }
        public bool IsWhole { get; set; }
    }

    /// <summary>Whether a state waits for stability before it may leave.</summary>
    public bool Waits => _sources.Values.Any(s => !context.Ordering!.IsStable(s.Past));

    public bool IsDonor(GroupMember group) => _sources.Values.Any(s => s.Group == group);

    // ---- donor

    public void Begin(long token, StateSource source) => _sources.Add(token, source);

    /// <summary>Asks the applications for the next pieces, as far as there is room for them.</summary>
    public void Pump(ChannelTable channels)
    {
        if (_sources.Count == 0) return;
        foreach ((long token, StateSource source) in _sources.ToArray())
        {
            if (source.Taken.Count == 0) End(token);
            else if (!source.IsReading && context.Ordering!.IsStable(source.Past) && HasRoom(source, channels))
            {
                source.IsReading = true;
                context.Effects.ReadState(source.Group.Id, token);
            }
        }
    }

    /// <summary>The group's view has changed: who has left does not join any more. It may join again, with a state of its own.</summary>
    public void OnView(GroupMember group)
    {
        if (_sources.Count == 0) return;
        foreach (StateSource source in _sources.Values.Where(s => s.Group == group))
        {
            foreach (NodeId gone in source.Taken.Keys.Where(j => !group.View.Contains(j)).ToArray()) source.Taken.Remove(gone);
        }
    }

    private static bool HasRoom(StateSource source, ChannelTable channels)
    {
        foreach ((NodeId joiner, long taken) in source.Taken)
        {
            if (source.Sent - taken >= Window || channels.Find(joiner) is not { } channel || channel.Link.UnacknowledgedBytes + channel.OpenLength >= LinkWindow) return false;
        }
        return true;
    }

    /// <summary>The application has given the next piece.</summary>
    /// <param name="isLast">The whole state has been given.</param>
    public void OnRead(long token, ReadOnlyMemory<byte> piece, bool isLast)
    {
        if (!_sources.TryGetValue(token, out StateSource? source)) return;      // a configuration change has overtaken it
        source.IsReading = false;
        foreach (NodeId joiner in source.Taken.Keys) services.Send(joiner, ServiceRecord.StateStream, writer => Write(writer, source, piece, isLast));
        source.IsBegun = true;
        source.Sent += piece.Length;
        if (isLast) _sources.Remove(token);
    }

    private static void Write(WireWriter writer, StateSource source, ReadOnlyMemory<byte> piece, bool isLast)
    {
        writer.Group(source.Group.Id);
        writer.Varint(source.Epoch);
        writer.Flag(source.IsBegun);
        if (!source.IsBegun)
        {
            writer.Varint(source.Expected + 1);
            writer.Blob(source.Head);
        }
        writer.Flag(isLast);
        writer.Blob(piece.Span);
    }

    /// <summary>The application could not read on.</summary>
    /// <returns>The source, of which the joiners are to be told; null if it is over already.</returns>
    public StateSource? TakeFailed(long token) => _sources.Remove(token, out StateSource? source) ? source : null;

    public void OnTaken(NodeId joiner, ref WireReader reader)
    {
        GroupId group = reader.Group();
        long epoch = reader.Varint(), taken = reader.Varint();
        foreach (StateSource source in _sources.Values)
        {
            if (source.Group.Id == group && source.Epoch == epoch && source.Taken.TryGetValue(joiner, out long before)) source.Taken[joiner] = Math.Max(before, taken);
        }
    }

    private void End(long token)
    {
        if (_sources.Remove(token, out StateSource? source)) context.Effects.EndState(source.Group.Id, token);
    }

    // ---- joiner

    public void OnPiece(NodeId donor, ref WireReader reader)
    {
        GroupId id = reader.Group();
        long epoch = reader.Varint();
        bool isNext = reader.Flag();
        _incoming.TryGetValue(id, out Incoming? incoming);
        if (!isNext)
        {
            long expected = reader.Varint() - 1;
            var begun = new Incoming(donor, epoch, expected, StateTransfers.Decompose(reader.Blob().ToArray()));
            if (incoming is null || incoming.Epoch <= epoch)
            {
                Break(id);
                _incoming[id] = incoming = begun;
            }
        }
        bool isLast = reader.Flag();
        ReadOnlyMemory<byte> piece = reader.Blob();
        // A piece for an earlier membership of this node, from another donor, may come late.
        if (incoming is null || incoming.Donor != donor || incoming.Epoch != epoch || incoming.IsWhole) return;
        incoming.IsWhole = isLast;
        if (piece.Length > 0) incoming.Early.Enqueue(piece);
        if (groups.Find(id) is { } group) groups.States.TryInstall(group);
    }

    /// <summary>Hands over what has come for a joiner that is at the place where the state was cut.</summary>
    /// <returns>What the library remembers, once the application has been given all of its part, and is to be told so.</returns>
    public GroupState? TryHandOver(GroupMember group)
    {
        if (!_incoming.TryGetValue(group.Id, out Incoming? incoming) || incoming.Epoch != group.CutEpoch) return null;
        if (!incoming.IsBegun)
        {
            incoming.IsBegun = true;
            foreach ((string key, string value) in incoming.Head.Configuration.Entries) context.Effects.Configured(group.Id, key, value);
            context.Effects.StreamState(group.Id, StateStep.Begin, default, incoming.Expected);
        }
        while (incoming.Early.TryDequeue(out ReadOnlyMemory<byte> piece)) context.Effects.StreamState(group.Id, StateStep.Piece, piece, 0);
        if (!incoming.IsWhole) return null;
        _incoming.Remove(group.Id);
        return incoming.Head;
    }

    /// <summary>The application has taken so many bytes more.</summary>
    public void OnConsumed(GroupId group, long bytes)
    {
        if (!_incoming.TryGetValue(group, out Incoming? incoming)) return;
        incoming.Taken += bytes;
        if (incoming.Taken - incoming.Told < Window / 8) return;
        incoming.Told = incoming.Taken;
        services.Send(incoming.Donor, ServiceRecord.StateTaken, writer =>
        {
            writer.Group(group);
            writer.Varint(incoming.Epoch);
            writer.Varint(incoming.Taken);
        });
    }

    /// <summary>What has come of a state is void.</summary>
    public void Break(GroupId group)
    {
        if (!_incoming.Remove(group, out Incoming? incoming) || !incoming.IsBegun) return;
        context.Effects.StreamState(group, StateStep.Void, default, 0);
        foreach ((string key, _) in incoming.Head.Configuration.Entries) context.Effects.Configured(group, key, null);
    }

    public void OnInstalled()
    {
        foreach (long token in _sources.Keys.ToArray()) End(token);
        foreach (GroupId group in _incoming.Keys.Order().ToArray()) Break(group);
    }

    /// <summary>A membership has ended; a state of a later one stays.</summary>
    public void Forget(GroupMember group)
    {
        if (_incoming.TryGetValue(group.Id, out Incoming? incoming) && incoming.Epoch <= group.CutEpoch) Break(group.Id);
        foreach (long token in _sources.Where(s => s.Value.Group == group).Select(s => s.Key).ToArray()) End(token);
    }
}

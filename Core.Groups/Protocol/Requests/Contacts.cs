// The contact's side of callers that are not members: sends their messages in the group, and tells what becomes of them.
// Keeps: the messages of one caller leave in its order; what was refused is never sent. Everything here belongs to one
// configuration: in the next one the callers choose anew, and send again what is not settled.
// Follows: protocol.md section 7.
using System.Collections.Immutable;
using Core.Groups.Protocol.Groups;
using Core.Groups.Protocol.Ordering;
using Core.Groups.Wire;

namespace Core.Groups.Protocol.Requests;

internal sealed class Contacts(NodeContext context, Services services, GroupService groups, CallQueue calls)
{
    private readonly Dictionary<(NodeId Caller, CallerSource Source, GroupId Group), Intake> _intakes = [];
    private readonly Queue<(NodeId Caller, CallerProgress Progress)> _numbered = new();
    /// <summary>Sent and not settled, in the order of their numbers.</summary>
    private readonly Queue<(NodeId Caller, long Call, long Sequence)> _unsettled = new();

    /// <summary>What one source sends to one group through one caller.</summary>
    private sealed class Intake
    {
        /// <summary>The caller's number of the last call that was accepted.</summary>
        public long Accepted { get; set; }
        /// <summary>The call of which pieces are still to come.</summary>
        public long Open { get; set; }
        public PieceAssembly? Pieces { get; set; }
    }

    /// <summary>Callers wait until something is settled.</summary>
    public bool Waits => _unsettled.Count > 0;

    public void OnCast(NodeId caller, ref WireReader reader)
    {
        CallerCast cast = CallerCast.Read(ref reader);
        if (cast.Stamp.Caller != caller) throw new WireFormatException("A caller gives itself out for another.");
        var key = (caller, cast.Stamp.Source, cast.Group);
        if (groups.Find(cast.Group) is not { HasState: true, IsLeaving: false, IsHalted: false })
        {
            _intakes.Remove(key);
            if (cast.IsLast) Tell(caller, CallerStage.Refused, cast.Call);
            return;
        }
        if (!_intakes.TryGetValue(key, out Intake? intake)) _intakes.Add(key, intake = new Intake());
        ReadOnlyMemory<byte>? body = Gather(intake, cast);
        if (!cast.IsLast) return;
        if ((cast.Previous != 0 && cast.Previous != intake.Accepted) || (body is null && cast.Total <= context.Settings.MaximumMessageSize))
        {
            Tell(caller, CallerStage.Refused, cast.Call);      // something before it, or of it, came while this node was no contact
            return;
        }
        intake.Accepted = cast.Stamp.Sequence;
        if (cast.Stamp.IsOver) _intakes.Remove(key);
        if (body is { } whole) Submit(cast, whole);
        else Tell(caller, CallerStage.TooLarge, cast.Call);
    }

    /// <summary>The whole body with its last piece; null if more is to come, or what came is not the whole.</summary>
    private ReadOnlyMemory<byte>? Gather(Intake intake, CallerCast cast)
    {
        if (cast.Offset == 0) (intake.Open, intake.Pieces) = (cast.Stamp.Sequence, null);
        bool fits = intake.Open == cast.Stamp.Sequence && (intake.Pieces?.Length ?? 0) == cast.Offset && cast.Total <= context.Settings.MaximumMessageSize;
        PieceAssembly? pieces = intake.Pieces;
        if (!fits || cast.IsLast)
        {
            (intake.Open, intake.Pieces) = (0, null);
            if (!fits) return null;
            return pieces is null ? cast.Piece : pieces.Join(cast.Piece);
        }
        (intake.Pieces ??= new PieceAssembly()).Add(cast.Piece);
        return null;
    }

    private void Submit(CallerCast cast, ReadOnlyMemory<byte> body)
    {
        MessageFlags flags = MessageFlags.ForCaller | (cast.WantsReplies ? MessageFlags.Request : 0);
        calls.Submit(new Cast(0, cast.Group, null, cast.Kind, body, flags, cast.Call, cast.Stamp));
    }

    /// <summary>A caller's message has its number. It is not in every frame yet: the caller is told at the end of the turn.</summary>
    public void OnSent(Cast cast, Message message)
    {
        NodeId caller = cast.Caller!.Caller;
        _unsettled.Enqueue((caller, cast.RequestId, message.Sequence));
        if ((cast.Flags & MessageFlags.Request) == 0) return;
        var members = ImmutableArray.CreateBuilder<NodeId>();
        foreach (int rank in message.Destination.Members) members.Add(context.NodeAt(rank));
        _numbered.Enqueue((caller, new CallerProgress(CallerStage.Sent, cast.RequestId, members.ToImmutable())));
    }

    /// <summary>This node left the group before it could send.</summary>
    public void OnFailed(Cast cast)
    {
        NodeId caller = cast.Caller!.Caller;
        _intakes.Remove((caller, cast.Caller.Source, cast.Group));
        Tell(caller, CallerStage.Refused, cast.RequestId);
    }

    public void OnConsumed(NodeId caller, long call) => Tell(caller, CallerStage.Consumed, call);

    /// <summary>Tells what has left and what is settled.</summary>
    public void Pump()
    {
        while (_numbered.TryDequeue(out var sent)) Tell(sent.Caller, sent.Progress);
        while (_unsettled.TryPeek(out var first) && first.Sequence <= context.Ordering!.SettledOf(context.Ordering.Self))
        {
            _unsettled.Dequeue();
            Tell(first.Caller, new CallerProgress(CallerStage.Settled, first.Call, [], first.Sequence));
        }
    }

    public void OnGroupEnded(GroupId group)
    {
        foreach (var intake in _intakes.Keys.Where(i => i.Group == group).ToArray()) _intakes.Remove(intake);
    }

    public void OnInstalled()
    {
        _intakes.Clear();
        _numbered.Clear();
        _unsettled.Clear();
        calls.WithdrawCallers();
    }

    private void Tell(NodeId caller, CallerStage stage, long call) => Tell(caller, new CallerProgress(stage, call, []));

    private void Tell(NodeId caller, CallerProgress progress)
    {
        // In a configuration change nothing is told: the caller begins again after it.
        if (context.IsWorking && context.RankOf(caller) >= 0) services.Send(caller, ServiceRecord.CallerProgress, progress.Write);
    }
}

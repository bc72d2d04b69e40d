// Extended mode: while the members of a merged group exchange their sides' states, nothing that comes after the merge is shown
// to the application: it waits here, in its order, over all groups (so no causal order is broken).
// Keeps: what is shown, and what the trace says, is what would have been shown at once, in the same order, only later.
// Follows: protocol.md section 6, extended mode. In primary mode it does not stand in the way at all: it is not there.
using System.Collections.Immutable;
using Core.Groups.Protocol.Groups;
using Core.Groups.Tracing;

namespace Core.Groups.Protocol;

internal sealed class HeldEffects(INodeEffects effects) : INodeEffects
{
    private readonly Queue<Action> _held = new();

    /// <summary>Whether what the application is to see is held back.</summary>
    public bool IsHolding { get; private set; }

    public void Hold() => IsHolding = true;

    /// <summary>Shows what was held, in its order.</summary>
    public void Release()
    {
        IsHolding = false;
        while (_held.TryDequeue(out Action? show)) show();
    }

    /// <summary>Does an act, in its place among what is held.</summary>
    public void Later(Action act) => _held.Enqueue(act);

    /// <summary>Shows something that the rest waits for: it is not held.</summary>
    public void Suspend(Action show)
    {
        (bool wasHolding, IsHolding) = (IsHolding, false);
        show();
        IsHolding = wasHolding;
    }

    private void Show(Action show)
    {
        if (IsHolding) _held.Enqueue(show);
        else show();
    }

    // ---- what the application sees

    public void Deliver(in Delivery delivery)
    {
        if (IsHolding) HoldDelivery(delivery);
        else effects.Deliver(delivery);
    }

    private void HoldDelivery(Delivery delivery) => _held.Enqueue(() => effects.Deliver(delivery));

    public void Trace(TraceEvent line)
    {
        if (IsHolding && line.Kind is TraceKind.Deliver or TraceKind.View or TraceKind.State or TraceKind.Leave) Show(() => effects.Trace(line));
        else effects.Trace(line);
    }

    public void Joined(long call, GroupId group, string name) => Show(() => effects.Joined(call, group, name));

    public void JoinRefused(long call, string reason) => Show(() => effects.JoinRefused(call, reason));

    public void InspectJoin(GroupId group, long token, NodeId joiner, ReadOnlyMemory<byte> credentials) =>
        Show(() => effects.InspectJoin(group, token, joiner, credentials));

    public void ViewInstalled(View view) => Show(() => effects.ViewInstalled(view));

    public void SaveState(GroupId group, long token) => Show(() => effects.SaveState(group, token));

    public void LoadState(GroupId group, ReadOnlyMemory<byte>? state) => Show(() => effects.LoadState(group, state));

    public void ReadState(GroupId group, long token) => Show(() => effects.ReadState(group, token));

    public void EndState(GroupId group, long token) => Show(() => effects.EndState(group, token));

    public void StreamState(GroupId group, StateStep step, ReadOnlyMemory<byte> piece, long expected) => Show(() => effects.StreamState(group, step, piece, expected));

    public void ReconcileState(GroupId group, ImmutableArray<SideState> sides) => Show(() => effects.ReconcileState(group, sides));

    public void Configured(GroupId group, string key, string? value) => Show(() => effects.Configured(group, key, value));

    public void SaveWholeState(GroupId group, long token) => Show(() => effects.SaveWholeState(group, token));

    public void MigrationOffered(long token, GroupId group, string name, NodeId from) => effects.MigrationOffered(token, group, name, from);

    public void MigrationEnded(long call, GroupInfo? moved, string? reason) => effects.MigrationEnded(call, moved, reason);

    public void GroupLeft(GroupId group, GroupEnd end) => Show(() => effects.GroupLeft(group, end));

    public void Completed(long call, Outcome outcome) => Show(() => effects.Completed(call, outcome));

    public void RequestCompleted(long call, Outcome outcome, IReadOnlyList<ReplyItem> replies, IReadOnlyList<NodeId> failed) =>
        Show(() => effects.RequestCompleted(call, outcome, replies, failed));

    public void Excluded(string reason, bool isLineageOver)
    {
        Release();
        effects.Excluded(reason, isLineageOver);
    }

    public void Stopped()
    {
        Release();
        effects.Stopped();
    }

    // ---- the rest passes at once

    public void Dial(string address) => effects.Dial(address);

    public void Transmit(int connection, ReadOnlySpan<byte> frame) => effects.Transmit(connection, frame);

    public void Close(int connection, string reason) => effects.Close(connection, reason);

    public void Store(long sequence, ReadOnlyMemory<byte> record) => effects.Store(sequence, record);

    public void ConfigurationInstalled(Configuration configuration, ImmutableArray<PeerIdentity> peers, ImmutableArray<NodeId> leavers) =>
        effects.ConfigurationInstalled(configuration, peers, leavers);

    public void TransitionBegun(Configuration transitional) => effects.TransitionBegun(transitional);

    public void GroupRenamed(GroupId before, GroupId after) => effects.GroupRenamed(before, after);

    public void Blocked() => effects.Blocked();

    public void Unblocked() => effects.Unblocked();

    public void NameTaken(string byAddress) => effects.NameTaken(byAddress);

    public void CreditReleased(GroupId group, long bytes) => effects.CreditReleased(group, bytes);

    public void Sent(long call, MessageId message) => effects.Sent(call, message);

    public void GroupFound(long call, GroupInfo? group) => effects.GroupFound(call, group);

    public void WatchBegun(long call) => effects.WatchBegun(call);

    public void WatchedChange(long call, GroupId group, ViewChange change) => effects.WatchedChange(call, group, change);

    public void GroupsListed(long call, ImmutableArray<string> names) => effects.GroupsListed(call, names);

    public void Log(ProtocolLogLevel level, string message) => effects.Log(level, message);
}

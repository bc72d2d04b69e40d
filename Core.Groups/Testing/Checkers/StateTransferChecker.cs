// State transfer (protocol, section 7; trace contract): a joiner's lines come in the order view, state, deliver; its
// state is cut in a view that it installed; the creator of a group has no state to get.
namespace Core.Groups.Testing.Checkers;

/// <summary>A joiner delivers only after it has the group's state, once.</summary>
internal sealed class StateTransferChecker(CheckOptions options) : IChecker
{
    public string Name => "state transfer";

    public IEnumerable<Violation> Check(History history) =>
        history.Traces.SelectMany(trace => trace.Memberships).SelectMany(CheckState)
            .Concat(history.Traces.SelectMany(CheckDeliveries));

    private IEnumerable<Violation> CheckState(Membership membership)
    {
        foreach (var (line, index) in membership.StateLines)
        {
            if (!membership.Views.Exists(at => at.View.Number == line.ViewNumber && at.Start <= index))
                yield return this.Found($"{membership.Trace} got the state of {membership.Group} as of view {line.ViewNumber}, which it had not installed.", line);
        }
        if (!options.IsPrimaryMode)
            yield break; // components that merge reconcile their states
        if (membership is { IsCreator: true, StateLines: [var superfluous, ..] })
            yield return this.Found($"{membership.Trace} made {membership.Group} and yet got a state for it.", superfluous.Line);
        if (membership.StateLines is [var first, var second, ..])
            yield return this.Found($"{membership.Trace} got the state of {membership.Group} twice.", first.Line, second.Line);
    }

    private IEnumerable<Violation> CheckDeliveries(NodeTrace trace)
    {
        foreach (Delivery delivery in trace.Deliveries)
        {
            if (delivery.Views.Any(at => at is not null) && Array.TrueForAll(delivery.Views, at => at is null || IsWithoutState(at.Membership, delivery)))
                yield return this.Found($"{trace} delivered {delivery.Message} before it had the state of {delivery.Message.Groups.Text()}.", delivery.Line);
        }
    }

    private static bool IsWithoutState(Membership membership, Delivery delivery) =>
        !membership.IsCreator && (membership.StateIndex < 0 || membership.StateIndex > delivery.Index);
}

using System.Globalization;
using Core.Groups;

namespace Toolkit.CoordinatorCohort;

/// <summary>
/// Names one request for ever, whoever executes it and how often: what a store outside the group needs to see whether it has
/// done the work already.
/// </summary>
/// <param name="Caller">The node that asked, by the incarnation in which its face was made.</param>
/// <param name="Sequence">The caller's counter, from 1.</param>
public readonly record struct ExecutionId(NodeId Caller, long Sequence)
{
    /// <summary><c>caller.incarnation/sequence</c>.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Caller}/{Sequence}");
}

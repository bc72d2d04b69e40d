using System.Runtime.CompilerServices;
using Core.Groups;
using Toolkit.CoordinatorCohort.Replication;

namespace Toolkit.CoordinatorCohort.Faces;

/// <summary>Gets a request executed: as a member, or from outside.</summary>
internal interface ICohortRunner
{
    /// <summary>Ends with the answers, whatever fails meanwhile. A cancellation reaches the executing member.</summary>
    Task<CohortReply> RunAsync(ExecutionId id, RunOptions options, ReadOnlyMemory<byte> request, CancellationToken ct);
}

/// <summary>Numbers the requests of a node, over all its faces.</summary>
internal sealed class CallerIdentity(NodeId caller)
{
    private static readonly ConditionalWeakTable<object, CallerIdentity> Identities = [];
    private long _last;

    public static CallerIdentity Of(GroupNode node) => Identities.GetValue(node, static node => new CallerIdentity(((GroupNode)node).Id));

    public static CallerIdentity Of(GroupClient client) => Identities.GetValue(client, static client => new CallerIdentity(((GroupClient)client).Id));

    public ExecutionId Next() => new(caller, Interlocked.Increment(ref _last));
}

/// <summary>The names of cohorts' groups.</summary>
internal static class CohortName
{
    /// <exception cref="ArgumentException">The name is none.</exception>
    public static string GroupOf(string name)
    {
        string group = name + "#task";
        GroupName.Validate(group);
        return group;
    }
}

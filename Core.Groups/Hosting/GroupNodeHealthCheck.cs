using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Core.Groups;

/// <summary>
/// Says whether the application's node works: healthy in a primary configuration; while it is blocked, what the registration
/// says (by default unhealthy); unhealthy once it has ended. Register it with
/// <c>services.AddHealthChecks().AddCheck&lt;GroupNodeHealthCheck&gt;("process-groups")</c>.
/// </summary>
/// <param name="node">The node.</param>
public sealed class GroupNodeHealthCheck(GroupNode node) : IHealthCheck
{
    /// <inheritdoc/>
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(context);
        return Task.FromResult(Check(context));
    }

    private HealthCheckResult Check(HealthCheckContext context)
    {
        if (node.Completion.IsCompleted)
        {
            return HealthCheckResult.Unhealthy($"Node {node.Id} has ended.", node.Completion.Exception?.InnerException);
        }

        if (node.IsBlocked)
        {
            return new HealthCheckResult(
                context.Registration.FailureStatus,
                $"Node {node.Id} is not in a primary configuration; it reaches {string.Join(", ", node.Reachable.Select(n => n.Name))}.");
        }

        return HealthCheckResult.Healthy($"Node {node.Id} is in configuration {node.Configuration?.Id} with {node.Members.Length} members.");
    }
}

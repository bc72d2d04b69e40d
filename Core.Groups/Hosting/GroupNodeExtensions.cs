// Many groups at once. All are asked for before any is waited for: what they need of the cluster travels in the same frames.
// Keeps: a bulk operation that fails leaves no membership behind that its caller does not know of.
namespace Core.Groups;

/// <summary>Operations of a node on many groups at once.</summary>
public static class GroupNodeExtensions
{
    /// <summary>
    /// Joins many groups at once, and creates those that are not there. Completes when the first view and the state of each are here: for
    /// thousands of groups it costs a small part of what joins one after the other do. While the node is blocked this waits.
    /// All or none: if one of them cannot be joined, this ends with its error, when the others have been left again.
    /// </summary>
    /// <param name="node">The node.</param>
    /// <param name="names">The groups, as for <see cref="GroupNode.JoinAsync"/>; each once.</param>
    /// <param name="options">State transfer and handlers for each name; null: none.</param>
    /// <param name="ct">Withdraws the joins.</param>
    /// <returns>The memberships, in the order of the names.</returns>
    /// <remarks>Errors as for <see cref="GroupNode.JoinAsync"/>.</remarks>
    public static async ValueTask<IReadOnlyList<ProcessGroup>> JoinAllAsync(
        this GroupNode node, IEnumerable<string> names, Func<string, GroupOptions?>? options = null, CancellationToken ct = default)
    {
        ArgumentNullException.ThrowIfNull(node);
        ArgumentNullException.ThrowIfNull(names);
        (string Name, GroupOptions? Options)[] wanted = [.. names.Select(name => (name, options?.Invoke(name)))]; // its errors come before any join
        using var withdrawal = CancellationTokenSource.CreateLinkedTokenSource(ct); // its registrations go with it; the caller's token may live for long
        Task<ProcessGroup>[] joins = [.. wanted.Select(w => node.JoinAsync(w.Name, w.Options, withdrawal.Token).AsTask())];
        try
        {
            return await Task.WhenAll(joins).ConfigureAwait(false);
        }
        catch
        {
            await Task.WhenAll(joins.Where(join => join.IsCompletedSuccessfully).Select(join => join.Result.LeaveAsync(CancellationToken.None).AsTask())).ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Deletes many groups at once, as <see cref="GroupNode.DeleteGroupAsync"/> does one. Those that are not there are passed over.</summary>
    /// <param name="node">The node.</param>
    /// <param name="groups">The groups' names, or the texts of their ids.</param>
    /// <param name="ct">Ends the wait; what was asked for may still happen.</param>
    /// <returns>How many groups were there.</returns>
    /// <exception cref="ExcludedException">The incarnation ended; see OutcomeUnknown.</exception>
    /// <exception cref="NodeStoppedException">The node has stopped; see OutcomeUnknown.</exception>
    public static async ValueTask<int> DeleteAllAsync(this GroupNode node, IEnumerable<string> groups, CancellationToken ct = default)
    {
        ArgumentNullException.ThrowIfNull(node);
        ArgumentNullException.ThrowIfNull(groups);
        bool[] deleted = await Task.WhenAll(groups.Select(group => TryDeleteAsync(node, group, ct))).ConfigureAwait(false);
        return deleted.Count(wasThere => wasThere);
    }

    private static async Task<bool> TryDeleteAsync(GroupNode node, string group, CancellationToken ct)
    {
        try
        {
            await node.DeleteGroupAsync(group, ct).ConfigureAwait(false);
            return true;
        }
        catch (GroupNotFoundException)
        {
            return false;
        }
    }
}

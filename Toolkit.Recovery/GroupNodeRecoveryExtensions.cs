using Core.Groups;

namespace Toolkit.Recovery;

/// <summary>Logged groups of a node.</summary>
public static class GroupNodeRecoveryExtensions
{
    /// <summary>
    /// Joins a logged group. If it runs, this node is given the state of its members; if all have failed, the group comes back with the
    /// state of the last to fail, from that member's checkpoint and log; if there never was such a group, it begins. Completes when this
    /// node is a member with the state: until it is known who failed last, this waits (<see cref="LoggedGroupOptions.OnWaiting"/> says for whom).
    /// </summary>
    /// <param name="node">The node; it needs a stable store (<see cref="GroupNodeOptions.DataDirectory"/>).</param>
    /// <param name="name">The group's path name.</param>
    /// <param name="options">
    /// Handlers and state. Register the handlers in <see cref="GroupOptions.Configure"/>: the log is replayed through them before this completes.
    /// The state transfer also makes the checkpoints; its Initialize must begin with an empty state whatever was there before.
    /// </param>
    /// <param name="logOptions">Null: the defaults.</param>
    /// <param name="ct">Gives it up.</param>
    /// <exception cref="ArgumentException">The options have no state transfer, or have a journal of their own.</exception>
    /// <exception cref="InvalidOperationException">The node has no stable store.</exception>
    /// <exception cref="StableStoreException">The log is damaged or failed.</exception>
    /// <exception cref="AlreadyMemberException">This node is a member already.</exception>
    /// <exception cref="JoinRefusedException">A member refused this node's credentials.</exception>
    /// <exception cref="NodeStoppedException">The node has stopped.</exception>
    public static async ValueTask<LoggedGroup> JoinLoggedAsync(
        this GroupNode node, string name, GroupOptions options, LoggedGroupOptions? logOptions = null, CancellationToken ct = default)
    {
        ArgumentNullException.ThrowIfNull(node);
        ArgumentNullException.ThrowIfNull(options);
        GroupName.Validate(name);
        if (options.State is null) throw new ArgumentException("A logged group needs a state transfer: GroupOptions.State makes its checkpoints.", nameof(options));
        if (options.Journal is not null) throw new ArgumentException("A logged group has its own journal: leave GroupOptions.Journal empty.", nameof(options));
        logOptions ??= new LoggedGroupOptions();
        logOptions.Validate();
        RecoveryManager manager = await RecoveryManager.OpenAsync(node, ct).ConfigureAwait(false);
        return await LoggedGroup.JoinAsync(manager, name, options, logOptions, ct).ConfigureAwait(false);
    }
}

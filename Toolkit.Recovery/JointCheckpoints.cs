// Checkpoints of several logged groups at one instant, and the way back to them.
// Follows: "Exploiting virtual synchrony", section 3.6; the instant is a GBCAST to all the groups (RFC 992, section 6).
using System.Security.Cryptography;
using Core.Groups;
using Toolkit.Recovery.Logs;

namespace Toolkit.Recovery;

/// <summary>What is done to several logged groups of a node at one logical instant.</summary>
public static class JointCheckpoints
{
    private const int MostAttempts = 10;

    /// <summary>
    /// Takes a checkpoint of several groups under one number, at one place among all messages to any of them. Completes when it is on the disks of
    /// all their members. Each group counts the number as its own: <see cref="LoggedGroup.RollBackAsync"/> goes back to it, too.
    /// </summary>
    /// <param name="groups">Groups of one node; it is a member of all of them.</param>
    /// <param name="ct">Ends the wait; the checkpoint may be taken all the same.</param>
    /// <returns>The number: higher than that of any checkpoint of these groups before.</returns>
    /// <exception cref="ArgumentException">No group, or groups of several nodes.</exception>
    /// <exception cref="StateTransferException">Others took checkpoints of these groups again and again meanwhile.</exception>
    /// <remarks>Further errors as for <see cref="GroupNode.MulticastAsync"/> and <see cref="LoggedGroup.FlushAsync"/>.</remarks>
    public static async ValueTask<long> CheckpointAsync(this IReadOnlyCollection<LoggedGroup> groups, CancellationToken ct = default)
    {
        GroupNode node = NodeOf(groups);
        if (groups.Count == 1) return await groups.Single().CheckpointAsync(ct).ConfigureAwait(false);
        for (int attempt = 0; attempt < MostAttempts; attempt++)
        {
            // Another one may be taken in one of the groups before this: then it has the number, and all is tried again with a higher one.
            long number = groups.Max(g => g.LastCheckpoint) + 1;
            ulong joint = BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(sizeof(ulong)));
            await node.TellJournalsAsync([.. groups.Select(g => g.Group)], JournalQuestion.AskForCheckpoint(number, joint), ct).ConfigureAwait(false);
            bool[] kept = await Task.WhenAll(groups.Select(g => IsKeptAsync(g, joint, ct))).ConfigureAwait(false);
            if (kept.All(k => k)) return number;
        }

        throw new StateTransferException(string.Join(", ", groups.Select(g => g.Name)), "other checkpoints of these groups came between again and again. Take them one at a time.");
    }

    /// <summary>
    /// Rolls all members of several groups back to a checkpoint that was taken of all of them, at one place among all messages to any of them. A member that
    /// does not have it drops out of the group, and joins again with the state of the others.
    /// </summary>
    /// <param name="groups">Groups of one node; it is a member of all of them.</param>
    /// <param name="number">The checkpoint.</param>
    /// <param name="ct">Ends the wait; it may happen all the same.</param>
    /// <exception cref="ArgumentOutOfRangeException">This member does not have it in one of the groups: it is too old, or never was.</exception>
    /// <remarks>Further errors as for <see cref="CheckpointAsync"/>.</remarks>
    public static async ValueTask RollBackAsync(this IReadOnlyCollection<LoggedGroup> groups, long number, CancellationToken ct = default)
    {
        GroupNode node = NodeOf(groups);
        if (groups.Count == 1)
        {
            await groups.Single().RollBackAsync(number, ct).ConfigureAwait(false);
            return;
        }

        var cuts = new List<(string Group, CutPoint Cut)>();
        foreach (LoggedGroup group in groups)
        {
            cuts.Add((group.Name, await group.FindCheckpointAsync(number).ConfigureAwait(false)));
        }

        await node.TellJournalsAsync([.. groups.Select(g => g.Group)], JournalQuestion.AskToRollBack(number, cuts), ct).ConfigureAwait(false);
        foreach (LoggedGroup group in groups) await group.FlushAsync(ct).ConfigureAwait(false);
    }

    private static GroupNode NodeOf(IReadOnlyCollection<LoggedGroup> groups)
    {
        ArgumentNullException.ThrowIfNull(groups);
        GroupNode[] nodes = [.. groups.Select(g => g.Group.Node).Distinct()];
        return nodes.Length == 1 ? nodes[0] : throw new ArgumentException("One or more groups of one node are needed.", nameof(groups));
    }

    // Asked after the checkpoint, so every member answers after it. Who joined since does not have it.
    private static async Task<bool> IsKeptAsync(LoggedGroup group, ulong joint, CancellationToken ct)
    {
        GroupReplies replies = await group.Group.AskJournalsAsync(Order.Group, JournalQuestion.AskWhetherKept(joint), ct).ConfigureAwait(false);
        await group.FlushAsync(ct).ConfigureAwait(false);
        return replies.Answers.Any(a => !a.IsError);
    }
}

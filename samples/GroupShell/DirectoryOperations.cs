// The operations on groups as wholes, members or not: groups (their names), delete, kill.
using Core.Groups;

namespace GroupShell;

/// <summary>Carries out the operations on the groups of the cluster.</summary>
internal sealed class DirectoryOperations(GroupNode node, GroupLanes lanes)
{
    public async Task<AnswerFields?> GroupsAsync(CommandFields command, CancellationToken ct)
    {
        IReadOnlyCollection<string> names = await node.ListGroupsAsync(command.Has("prefix") ? command.Text("prefix") : "", ct).ConfigureAwait(false);
        return json => json.WriteStrings("names", names);
    }

    public async Task<AnswerFields?> DeleteAsync(CommandFields command, CancellationToken ct)
    {
        GroupLane lane = lanes.Of(command.Name("group"));
        using GroupLane.Turn turn = await lane.TakeTurnAsync(ct).ConfigureAwait(false);
        await node.DeleteGroupAsync(lane.Name, ct).ConfigureAwait(false);
        if (lane.Group is { } group)
            await group.Completion.WaitAsync(ct).ConfigureAwait(false);
        return null;
    }

    public async Task<AnswerFields?> KillAsync(CommandFields command, CancellationToken ct)
    {
        GroupLane lane = lanes.Of(command.Name("group"));
        string reason = command.Has("text") ? command.Text("text") : "";
        Task killing;
        using (await lane.TakeTurnAsync(ct).ConfigureAwait(false))
            killing = node.KillAsync(lane.Name, reason, ct).AsTask();
        await killing.ConfigureAwait(false);
        return null;
    }
}

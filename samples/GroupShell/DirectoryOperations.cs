// The operations on groups as wholes, members or not, and on other nodes: groups (their names), delete (one or many), kill, watch.
using Core.Groups;
using Toolkit.Recovery;

namespace GroupShell;

/// <summary>Carries out the operations on the groups of the cluster.</summary>
internal sealed class DirectoryOperations(GroupNode node, GroupLanes lanes, Answers answers)
{
    public async Task<AnswerFields?> GroupsAsync(CommandFields command, CancellationToken ct)
    {
        IReadOnlyCollection<string> names = await node.ListGroupsAsync(command.Has("prefix") ? command.Text("prefix") : "", ct).ConfigureAwait(false);
        return json => json.WriteStrings("names", names.Where(n => n != RecoveryManager.GroupName));
    }

    public async Task<AnswerFields?> FindAsync(CommandFields command, CancellationToken ct)
    {
        string name = command.Name("group");
        return Found(name, await node.FindGroupAsync(name, ct).ConfigureAwait(false));
    }

    /// <summary>The answer to a look-up.</summary>
    /// <exception cref="GroupNotFoundException">Nothing was found.</exception>
    public static AnswerFields Found(string asked, GroupInfo? found)
    {
        GroupInfo group = found ?? throw new GroupNotFoundException(asked);
        return json =>
        {
            json.WriteString("name", group.Name);
            json.WriteGroup(group);
        };
    }

    /// <summary>Ranks the members anew: those that are named come first, in this order.</summary>
    public async Task<AnswerFields?> RankAsync(CommandFields command, CancellationToken ct)
    {
        (GroupLane lane, string[] names) = (lanes.Of(command.Name("group")), command.Names("members"));
        if (names.Length == 0)
            throw ShellException.BadField("members", "must name those that come first");
        ProcessGroup group;
        Task call;
        using (await lane.TakeTurnAsync(ct).ConfigureAwait(false))
        {
            group = lane.Group ?? throw new NotMemberException(lane.Name);
            call = group.RankAsync(names.SelectMany(name => group.View.Members.Where(m => m.Name == name)), ct).AsTask();
        }

        await call.ConfigureAwait(false);
        return null;
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

    /// <summary>Many groups at once; those that are not there are passed over.</summary>
    public async Task<AnswerFields?> DeleteAllAsync(CommandFields command, CancellationToken ct)
    {
        GroupLane[] all = [.. command.ManyGroups().Select(lanes.Of)];
        using LaneTurns turns = await LaneTurns.TakeAsync(all, ct).ConfigureAwait(false);
        ProcessGroup[] left = [.. all.Select(lane => lane.Group).OfType<ProcessGroup>()];
        int deleted = await node.DeleteAllAsync(all.Select(lane => lane.Name), ct).ConfigureAwait(false);
        await Task.WhenAll(left.Select(group => group.Completion)).WaitAsync(ct).ConfigureAwait(false);
        return json => json.WriteNumber("deleted", deleted);
    }

    /// <summary>Watches a group until it ends, or a node (by its name) as long as this one runs.</summary>
    public async Task<AnswerFields?> WatchAsync(CommandFields command, CancellationToken ct)
    {
        if (command.Has("group") == command.Has("node"))
            throw ShellException.BadField("group", "or 'node' must be given, and not both");
        if (command.Has("node"))
        {
            _ = TellAsync(node.WatchNodes(command.Name("node"), CancellationToken.None));
            return null;
        }

        // The time-out is for the beginning of the watch, not for its length.
        Task<IAsyncEnumerable<WatchEvent>> watch = node.WatchGroupAsync(lanes.Of(command.Name("group")).Name, CancellationToken.None).AsTask();
        try
        {
            _ = TellAsync(await watch.WaitAsync(ct).ConfigureAwait(false));
        }
        catch (OperationCanceledException)
        {
            _ = watch.ContinueWith(late => late.Result.GetAsyncEnumerator(CancellationToken.None).DisposeAsync(), CancellationToken.None, TaskContinuationOptions.OnlyOnRanToCompletion, TaskScheduler.Default);
            throw;
        }

        return null;
    }

    private async Task TellAsync(IAsyncEnumerable<WatchEvent> watch)
    {
        try
        {
            await foreach (WatchEvent happened in watch.ConfigureAwait(false))
                answers.Watched(happened);
        }
        catch (GroupException)
        {
            // This incarnation is over, and its watches with it: the event `exclude` says so.
        }
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

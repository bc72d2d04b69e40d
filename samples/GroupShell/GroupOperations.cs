// The operations on groups: join (one or many), leave, members, send, request, flush. Each starts in its turn of the group's lane.
using System.Text;
using System.Text.Json;
using Core.Groups;

namespace GroupShell;

/// <summary>Carries out the operations on groups.</summary>
internal sealed class GroupOperations(GroupNode node, EventFeed feed, Answers answers, GroupLanes lanes, RecoveryOperations recovery)
{
    private static readonly AnswerWish Itself = new([], null, null);
    private readonly TaskCompletionSource _killed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Ends when somebody has asked the members' processes to end: this program does so, in order.</summary>
    public Task Killed => _killed.Task;

    public async Task<AnswerFields?> JoinAsync(CommandFields command, CancellationToken ct)
    {
        GroupLane lane = lanes.Of(command.Name("group"));
        GroupTexts? texts = recovery.WantsLog(command) ? new GroupTexts() : null;
        SizedState? state = SizedState.Of(command, lane.Name, answers);
        if (texts is not null && state is not null)
            throw ShellException.BadField("state", "is for groups that are not logged: those have a state already");
        GroupOptions options = OptionsOf(command, lane, texts, state);
        using GroupLane.Turn turn = await lane.TakeTurnAsync(ct).ConfigureAwait(false);
        if (texts is null)
        {
            (lane.Group, lane.State) = (await node.JoinAsync(lane.Name, options, ct).ConfigureAwait(false), state);
            return Membership(lane.Group, state);
        }

        (lane.Logged, lane.Texts) = (await recovery.JoinAsync(lane.Name, options, texts, ct).ConfigureAwait(false), texts);
        return Membership(lane.Logged.Group);
    }

    /// <summary>Many groups at once, all or none.</summary>
    public async Task<AnswerFields?> JoinAllAsync(CommandFields command, CancellationToken ct)
    {
        GroupLane[] all = [.. command.ManyGroups().Select(lanes.Of)];
        if (recovery.WantsLog(command))
            throw new ShellException("not-supported", "Logged groups are joined one by one: use 'join'.");
        Dictionary<string, SizedState?> states = all.ToDictionary(lane => lane.Name, lane => SizedState.Of(command, lane.Name, answers));
        Dictionary<string, GroupOptions> options = all.ToDictionary(lane => lane.Name, lane => OptionsOf(command, lane, null, states[lane.Name]));
        using LaneTurns turns = await LaneTurns.TakeAsync(all, ct).ConfigureAwait(false);
        IReadOnlyList<ProcessGroup> joined = await node.JoinAllAsync(all.Select(lane => lane.Name), name => options[name], ct).ConfigureAwait(false);
        foreach ((GroupLane lane, ProcessGroup group) in all.Zip(joined))
            (lane.Group, lane.State) = (group, states[lane.Name]);
        return json => json.WriteNumber("joined", joined.Count);
    }

    private GroupOptions OptionsOf(CommandFields command, GroupLane lane, GroupTexts? texts, SizedState? state)
    {
        byte[]? credentials = command.Has("credentials") ? Encoding.UTF8.GetBytes(command.Text("credentials")) : null;
        AnswerWish wish = AnswerWish.Of(command);
        EntryAddress[] entries = command.Entries();
        return new GroupOptions
        {
            State = state?.Transfer,
            Reconcile = state is null ? null : state.Reconcile,
            Configure = group =>
            {
                RegisterHandlers(group, texts, wish);
                foreach (EntryAddress entry in entries)
                    group.OnEntryRequest(entry, request => AnswerAsync(request, $"{node.Name}{entry}", texts, wish));
            },
            OnConfigured = entry => feed.OnConfigured(lane.Name, entry.Key, entry.Value),
            OnKill = OnKillAsync,
            Credentials = credentials,
            InspectJoin = credentials is null ? null : (_, shown) => ValueTask.FromResult(shown.Span.SequenceEqual(credentials) ? null : "its credentials are not those of the members."),
        };
    }

    /// <summary>How this shell takes the place of a member that moves here.</summary>
    public GroupOptions OptionsOfMigrant(string group)
    {
        GroupLane lane = lanes.Of(group);
        ProcessGroup? taken = null;
        return new GroupOptions
        {
            Configure = member =>
            {
                RegisterHandlers(member, null, Itself);
                (taken, lane.State) = (member, null);
            },
            OnView = _ =>
            {
                // It is a member from its first view on; later ones find it in its lane, or another membership.
                (lane.Group, taken) = (taken ?? lane.Group, null);
                return default;
            },
            OnConfigured = entry => feed.OnConfigured(lane.Name, entry.Key, entry.Value),
            OnKill = OnKillAsync,
        };
    }

    public async Task<AnswerFields?> MigrateAsync(CommandFields command, CancellationToken ct)
    {
        (GroupLane lane, string to) = (lanes.Of(command.Name("group")), command.Name("to"));
        using GroupLane.Turn turn = await lane.TakeTurnAsync(ct).ConfigureAwait(false);
        if (lane is { Group: not null, State: not null })
            throw new ShellException("not-supported", $"'{lane.Name}' has a state, which the target does not know of: join it there with 'state', then leave it here.");
        NodeId? target = node.Members.Where(m => m.Id.Name == to).Select(m => (NodeId?)m.Id).FirstOrDefault();
        GroupInfo moved = await (lane.Group ?? throw new NotMemberException(lane.Name))
            .MigrateAsync(target ?? throw ShellException.BadField("to", "must be a node of the configuration"), ct).ConfigureAwait(false);
        lane.Group = null;
        return json => json.WriteGroup(moved);
    }

    public async Task<AnswerFields?> MembersAsync(CommandFields command, CancellationToken ct)
    {
        GroupLane lane = lanes.Of(command.Name("group"));
        using GroupLane.Turn turn = await lane.TakeTurnAsync(ct).ConfigureAwait(false);
        return Membership(lane.Group ?? throw new NotMemberException(lane.Name), lane.State);
    }

    public async Task<AnswerFields?> LeaveAsync(CommandFields command, CancellationToken ct)
    {
        GroupLane lane = lanes.Of(command.Name("group"));
        using GroupLane.Turn turn = await lane.TakeTurnAsync(ct).ConfigureAwait(false);
        if (lane.Logged is { } logged)
            await logged.DisposeAsync().AsTask().WaitAsync(ct).ConfigureAwait(false);
        else
            await (lane.Group ?? throw new NotMemberException(lane.Name)).LeaveAsync(ct).ConfigureAwait(false);
        (lane.Logged, lane.Group) = (null, null);
        return null;
    }

    public async Task<AnswerFields?> FlushAsync(CommandFields command, CancellationToken ct)
    {
        GroupLane lane = lanes.Of(command.Name("group"));
        Task flush;
        using (await lane.TakeTurnAsync(ct).ConfigureAwait(false))
            flush = lane.Logged is { } logged ? logged.FlushAsync(ct) : lane.Group is { } group ? group.FlushAsync(ct).AsTask() : node.FlushAsync(ct).AsTask();
        await flush.ConfigureAwait(false);
        return null;
    }

    public async Task<AnswerFields?> ConfigureAsync(CommandFields command, CancellationToken ct)
    {
        (GroupLane lane, string key, string? value) = (lanes.Of(command.Name("group")), command.Name("key"), command.Json("value"));
        Task call;
        using (await lane.TakeTurnAsync(ct).ConfigureAwait(false))
            call = (lane.Group ?? throw new NotMemberException(lane.Name)).ConfigureAsync(key, value, ct).AsTask();
        await call.ConfigureAwait(false);
        return null;
    }

    public async Task<AnswerFields?> SendAsync(CommandFields command, CancellationToken ct)
    {
        if (command.Has("groups") || command.Has("label") || command.Has("to"))
            return await SendSpreadAsync(command, ct).ConfigureAwait(false);
        (GroupLane lane, Order order, Payload payload, int count) = (lanes.Of(command.Name("group")), command.Order(), command.Payload(), command.Count());
        List<Task<string>> calls = new(Math.Min(count, 1024));
        Exception? error = null;
        using (await lane.TakeTurnAsync(ct).ConfigureAwait(false))
        {
            byte[] body = payload.ToBody();
            try
            {
                for (int i = 0; i < count && (i == 0 || !calls[^1].IsFaulted); i++)
                {
                    await lane.Window.EnterAsync(body.Length, ct).ConfigureAwait(false);
                    calls.Add(SendOneAsync(lane, order, body, ct));
                }
            }
            catch (OperationCanceledException e)
            {
                error = e;
            }
        }

        List<string> ids = new(calls.Count);
        foreach (Task<string> call in calls)
        {
            try
            {
                ids.Add(await call.ConfigureAwait(false));
            }
            catch (Exception e)
            {
                error ??= e;
            }
        }

        AnswerFields fields = json => json.WriteStrings("ids", ids);
        return error switch
        {
            null => fields,
            _ when ids.Count == 0 => throw error,
            _ => throw new ShellException(Errors.CodeOf(error), $"{Errors.MessageOf(error)} {ids.Count} of {count} messages were sent.", fields),
        };
    }

    /// <summary>To several groups, nodes, or with a label: one after the other, for each goes to all lanes at once.</summary>
    private async Task<AnswerFields?> SendSpreadAsync(CommandFields command, CancellationToken ct)
    {
        (Order order, Payload payload, int count) = (command.Order(), command.Payload(), command.Count());
        string[] names = command.Has("groups") ? command.Names("groups") : command.Has("group") ? [command.Name("group")] : [];
        string? label = command.Has("label") ? command.Name("label") : null;
        string[] to = command.Names("to");
        using LaneTurns turns = await LaneTurns.TakeAsync([.. names.Select(lanes.Of)], ct).ConfigureAwait(false);
        ProcessGroup[] groups = turns.Groups();
        NodeId[] nodes = [.. node.Members.Select(m => m.Id).Where(id => to.Contains(id.Name))];
        List<string> ids = [];
        for (int i = 0; i < count; i++)
            ids.Add((await node.MulticastAsync(groups, order, payload.ToBody(), label, nodes, ct).ConfigureAwait(false)).ToString());
        return json => json.WriteStrings("ids", ids);
    }

    public async Task<AnswerFields?> RequestAsync(CommandFields command, CancellationToken ct)
    {
        if (command.Count() != 1)
            throw ShellException.BadField("count", "must be 1 for a request");
        if (command.Has("groups") || command.Has("label"))
            return await RequestSpreadAsync(command, ct).ConfigureAwait(false);
        if (command.Has("as"))
            return await RequestAsGroupAsync(command, ct).ConfigureAwait(false);
        (GroupLane lane, Order order, Payload payload, Replies replies) = (lanes.Of(command.Name("group")), command.Order(), command.Payload(), command.Replies());
        EntryAddress? entry = command.Entry();
        Task<GroupReplies> call;
        using (await lane.TakeTurnAsync(ct).ConfigureAwait(false))
        {
            byte[] body = payload.ToBody();
            call = (lane.Group, entry) switch
            {
                ({ } group, null) => group.RequestAsync(order, body, replies, timeout: null, ct).AsTask(),
                ({ } group, { } point) => group.RequestEntryAsync(point, order, body, replies, timeout: null, ct).AsTask(),
                (null, null) => node.RequestAsync(lane.Name, order, body, replies, timeout: null, ct).AsTask(),
                (null, { } point) => node.RequestEntryAsync(lane.Name, point, order, body, replies, timeout: null, ct).AsTask(),
            };
        }

        GroupReplies result = await call.ConfigureAwait(false);
        return json => json.WriteReplies(result);
    }

    /// <summary>To the members of several groups, or with a label: each answers once.</summary>
    private async Task<AnswerFields?> RequestSpreadAsync(CommandFields command, CancellationToken ct)
    {
        (Order order, Payload payload, Replies replies) = (command.Order(), command.Payload(), command.Replies());
        string? label = command.Has("label") ? command.Name("label") : null;
        Task<GroupReplies> call;
        using (LaneTurns turns = await LaneTurns.TakeAsync([.. (command.Has("groups") ? command.Names("groups") : [command.Name("group")]).Select(lanes.Of)], ct).ConfigureAwait(false))
            call = node.RequestAsync(turns.Groups(), order, payload.ToBody(), replies, label, timeout: null, ct).AsTask();
        GroupReplies result = await call.ConfigureAwait(false);
        return json => json.WriteReplies(result);
    }

    /// <summary>As all members of another group do, under the same number.</summary>
    private async Task<AnswerFields?> RequestAsGroupAsync(CommandFields command, CancellationToken ct)
    {
        (GroupLane lane, Order order, Payload payload, Replies replies) = (lanes.Of(command.Name("group")), command.Order(), command.Payload(), command.Replies());
        (GroupLane caller, long number) = (lanes.Of(command.Name("as")), command.Number("number", 1));
        Task<GroupReplies> call;
        using (await caller.TakeTurnAsync(ct).ConfigureAwait(false))
            call = (caller.Group ?? throw new NotMemberException(caller.Name)).RequestAsGroupAsync(lane.Name, number, order, payload.ToBody(), replies, timeout: null, ct).AsTask();
        GroupReplies result = await call.ConfigureAwait(false);
        return json => json.WriteReplies(result);
    }

    private async Task<string> SendOneAsync(GroupLane lane, Order order, byte[] body, CancellationToken ct)
    {
        try
        {
            if (lane.Group is { } group)
                return (await group.SendTracedAsync(order, body, ct).ConfigureAwait(false)).ToString();
            return (await node.SendAsync(lane.Name, order, body, ct).ConfigureAwait(false)).ToString();
        }
        finally
        {
            lane.Window.Leave(body.Length);
        }
    }

    private async ValueTask OnKillAsync(string reason, GroupMessage message)
    {
        await feed.OnHandled(message.Group.Name, message.Id, new Payload(reason, 0)).ConfigureAwait(false);
        _killed.TrySetResult();
    }

    private void RegisterHandlers(ProcessGroup group, GroupTexts? texts, AnswerWish wish)
    {
        group.OnMessage(message =>
        {
            texts?.Add(message.Body.Span);
            Payload payload = message.IsAnswerCopy ? new Payload(Encoding.UTF8.GetString(message.Body.Span), 0) : Payload.Read(message.Body.Span);
            return feed.OnHandled(group.Name, message.Id, payload);
        });
        group.OnRequest(request => AnswerAsync(request, node.Name, texts, wish));
    }

    /// <summary>Who answers, and the text that it got: at an entry point `NAME@ENTRY:TEXT` or `NAME#NUMBER:TEXT`.</summary>
    private async ValueTask<ReadOnlyMemory<byte>> AnswerAsync(GroupMessage request, string who, GroupTexts? texts, AnswerWish wish)
    {
        texts?.Add(request.Body.Span);
        Payload payload = Payload.Read(request.Body.Span);
        await feed.OnHandled(request.Group.Name, request.Id, payload).ConfigureAwait(false);
        wish.Apply(request, lanes);
        return Encoding.UTF8.GetBytes($"{who}:{payload.Shown}");
    }

    private static AnswerFields Membership(ProcessGroup group, SizedState? state = null)
    {
        View view = group.View;
        return json =>
        {
            json.WriteGroup(new GroupInfo(group.Id, group.Name, view.Number, view.Members));
            if (state is not null)
                json.WriteNumber("state", state.Bytes);
        };
    }
}

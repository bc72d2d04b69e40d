// Logged groups and objects: which there are, and the operations log.status, log.checkpoint, log.rollback, log.override.
// What is done to a logged object is answered when it is on the disk of all its members.
using System.Security.Cryptography;
using System.Text.Json;
using Core.Groups;
using Toolkit.Recovery;
using Operation = System.Func<GroupShell.CommandFields, System.Threading.CancellationToken, System.Threading.Tasks.Task<GroupShell.AnswerFields?>>;

namespace GroupShell;

/// <summary>Carries out the operations on logs.</summary>
internal sealed class RecoveryOperations
{
    // Operations on objects, by the beginning of their name, and what their object's group has behind its path.
    private static readonly (string Prefix, string Kind)[] Kinds =
        [("var.", "#var"), ("dict.", "#dict"), ("txn.", "#data"), ("board.", "#board"), ("lock.", "#lock"), ("sem.", "#sem"), ("rw.", "#rw"), ("task.", "#cohort")];

    private static readonly HashSet<string> Updates = ["var.set", "var.cas", "dict.set", "dict.remove", "txn.transfer", "board.post", "board.take"];

    private readonly GroupNode _node;
    private readonly EventFeed _feed;
    private readonly GroupLanes _lanes;
    private readonly bool _logsAll;
    private readonly Lock _gate = new();
    private readonly HashSet<string> _paths = [];

    /// <param name="logsAll">All objects and groups are logged.</param>
    public RecoveryOperations(GroupNode node, EventFeed feed, GroupLanes lanes, bool logsAll)
    {
        (_node, _feed, _lanes, _logsAll) = (node, feed, lanes, logsAll);
        node.LogObjects(IsLogged);
        if (node.StableStore is not null)
            _ = Task.Run(() => RecoveryManager.OpenAsync(node).AsTask()); // what goes wrong there, who needs it is told
    }

    public void AddTo(Dictionary<string, Operation> operations)
    {
        foreach ((string prefix, string kind) in Kinds)
        {
            foreach (string name in operations.Keys.Where(o => o.StartsWith(prefix, StringComparison.Ordinal)).ToArray())
                operations[name] = Logged(operations[name], kind, Updates.Contains(name));
        }

        operations["log.status"] = (command, _) => Task.FromResult<AnswerFields?>(Status(GroupOf(command)));
        operations["log.checkpoint"] = (command, ct) => ChangeAsync(command, groups => groups.CheckpointAsync(ct).AsTask(), ct);
        operations["log.rollback"] = (command, ct) =>
        {
            long number = command.Number("number", lowest: 1);
            return ChangeAsync(command, groups => groups.RollBackAsync(number, ct).AsTask(), ct);
        };
        operations["log.override"] = OverrideAsync;
    }

    /// <summary>Whether a join is to be a logged one.</summary>
    public bool WantsLog(CommandFields command) => _logsAll || (command.Has("logged") && command.Flag("logged"));

    /// <summary>Joins a logged group.</summary>
    public async Task<LoggedGroup> JoinAsync(string name, GroupOptions options, GroupTexts texts, CancellationToken ct)
    {
        options.State = texts.State;
        return await _node.JoinLoggedAsync(name, options, new LoggedGroupOptions { OnAsked = id => _feed.Drop(name, id) }, ct).ConfigureAwait(false);
    }

    // The path is marked in the order of the commands: the first operation on an object opens it.
    private Operation Logged(Operation operation, string kind, bool isUpdate) => (command, ct) =>
    {
        if (command.Has("name") && WantsLog(command))
        {
            lock (_gate)
                _paths.Add(command.Name("name"));
        }

        Task<AnswerFields?> running = operation(command, ct);
        return isUpdate ? WhenStableAsync(running, command.Name("name") + kind, ct) : running;
    };

    private async Task<AnswerFields?> WhenStableAsync(Task<AnswerFields?> running, string group, CancellationToken ct)
    {
        AnswerFields? answer = await running.ConfigureAwait(false);
        await WhenStableAsync(group, ct).ConfigureAwait(false);
        return answer;
    }

    /// <summary>Waits until what was done to an object is on the disks of its members; nothing if it is not logged.</summary>
    /// <param name="group">The object's group.</param>
    public async Task WhenStableAsync(string group, CancellationToken ct)
    {
        if (IsLogged(group) && (await RecoveryManager.OpenAsync(_node, ct).ConfigureAwait(false)).FindObject(group) is { } logged)
            await logged.FlushAsync(ct).ConfigureAwait(false);
    }

    private bool IsLogged(string group)
    {
        lock (_gate)
            return _logsAll || _paths.Contains(group.Split('#')[0]) || group.StartsWith(NewsOperations.LoggedPath + "/", StringComparison.Ordinal);
    }

    // Several groups, or objects by their groups' names, at one instant.
    private async Task<AnswerFields?> ChangeAsync(CommandFields command, Func<LoggedGroup[], Task> change, CancellationToken ct)
    {
        RecoveryManager manager = await RecoveryManager.OpenAsync(_node, ct).ConfigureAwait(false);
        string[] names = command.Has("groups") ? command.Names("groups") : [GroupOf(command)];
        if (names.Length == 0)
            throw ShellException.BadField("groups", "must name at least one group");
        await change([.. names.Select(name => _lanes.FindLogged(name) ?? manager.FindObject(name) ?? throw new NotMemberException(name))]).ConfigureAwait(false);
        return Status(names[0]);
    }

    private async Task<AnswerFields?> OverrideAsync(CommandFields command, CancellationToken ct)
    {
        (string name, string[] members) = (GroupOf(command), command.Names("members"));
        if (members.Length == 0)
            throw ShellException.BadField("members", "must name those to go on with");
        RecoveryManager manager = await RecoveryManager.OpenAsync(_node, ct).ConfigureAwait(false);
        await manager.OverrideAsync(name, members, ct).ConfigureAwait(false);
        return Status(name);
    }

    // An object is named by its path: its group is the one of a kind that there is.
    private string GroupOf(CommandFields command)
    {
        if (command.Has("group"))
            return command.Name("group");
        string path = command.Name("name");
        return Kinds.Select(k => path + k.Kind).FirstOrDefault(g => _node.GetLoggedStatus(g) is { } status && (status.LastView > 0 || status.State != LoggedGroupState.Idle))
            ?? throw new GroupNotFoundException(path);
    }

    private AnswerFields Status(string group)
    {
        LoggedGroupStatus status = _node.GetLoggedStatus(group) ?? (_node.StableStore is null
            ? throw new InvalidOperationException("Nothing is logged here: start the shell with --data.")
            : new LoggedGroupStatus(LoggedGroupState.Waiting, [], "the node is not in a primary configuration yet: start the others.", [], 0));
        GroupTexts? texts = _lanes.Find(group)?.Texts;
        return json =>
        {
            json.WriteString("state", status.State.ToString().ToLowerInvariant());
            json.WriteStrings("waiting-for", status.WaitingFor);
            if (status.Reason.Length > 0)
                json.WriteString("reason", status.Reason);
            json.WriteStartArray("checkpoints");
            foreach (long number in status.Checkpoints)
                json.WriteNumberValue(number);
            json.WriteEndArray();
            json.WriteNumber("last", status.LastView);
            if (_lanes.FindLogged(group) is { } logged)
                json.WriteString("origin", JsonNamingPolicy.KebabCaseLower.ConvertName(logged.StateOrigin.ToString()));
            if (texts is not null)
            {
                json.WriteNumber("delivered", texts.Count);
                json.WriteString("digest", texts.Digest);
            }
        };
    }
}

/// <summary>The state of a logged group as the shell keeps it: how many texts were delivered, and a digest of them in their order.</summary>
internal sealed class GroupTexts
{
    private readonly Lock _gate = new();
    private byte[] _digest = new byte[SHA256.HashSizeInBytes];

    public long Count { get; private set; }

    public string Digest
    {
        get
        {
            lock (_gate)
                return Convert.ToHexStringLower(_digest.AsSpan(0, 8));
        }
    }

    public StateTransfer State => new()
    {
        Initialize = () => Load(new byte[sizeof(long) + SHA256.HashSizeInBytes]),
        Save = () =>
        {
            lock (_gate)
                return ValueTask.FromResult<ReadOnlyMemory<byte>>((byte[])[.. BitConverter.GetBytes(Count), .. _digest]);
        },
        Load = Load,
    };

    public void Add(ReadOnlySpan<byte> body)
    {
        lock (_gate)
        {
            Count++;
            _digest = SHA256.HashData([.. _digest, .. body]);
        }
    }

    private ValueTask Load(ReadOnlyMemory<byte> state)
    {
        lock (_gate)
            (Count, _digest) = (BitConverter.ToInt64(state.Span), state.Span[sizeof(long)..].ToArray());
        return default;
    }
}

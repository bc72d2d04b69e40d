// The shell of a node: its operations, and what ends the process.
// Keeps: only `stop`, `crash`, the end of the input and the node's own end stop it.
using System.Text.Json;
using Core.Groups;

namespace GroupShell;

/// <summary>One node and the client that drives it.</summary>
internal sealed class Shell
{
    private static readonly TimeSpan StopPatience = TimeSpan.FromSeconds(20);

    private readonly GroupNode _node;
    private readonly EventFeed _feed;
    private readonly Answers _answers;
    private readonly GroupOperations _groups;
    private readonly Dictionary<string, Operation> _operations;
    private volatile bool _isCrashed;

    /// <param name="migrants">Told how this shell takes members that move here.</param>
    /// <param name="logsAll">All objects and groups are logged.</param>
    public Shell(GroupNode node, EventFeed feed, Answers answers, Migrants migrants, bool logsAll)
    {
        (_node, _feed, _answers) = (node, feed, answers);
        var lanes = new GroupLanes();
        var recovery = new RecoveryOperations(node, feed, lanes, logsAll);
        _groups = new GroupOperations(node, feed, answers, lanes, recovery);
        migrants.Take = _groups.OptionsOfMigrant;
        var directory = new DirectoryOperations(node, lanes, answers);
        var self = new NodeOperations(node, feed);
        var locks = new LockOperations(node, answers);
        _operations = new()
        {
            ["config"] = (_, _) => self.ConfigAsync(),
            ["force-primary"] = (_, ct) => self.ForcePrimaryAsync(ct),
            ["stats"] = (_, _) => self.StatsAsync(),
            ["quiet"] = (command, _) => self.QuietAsync(command),
            ["join"] = _groups.JoinAsync,
            ["join-all"] = _groups.JoinAllAsync,
            ["members"] = _groups.MembersAsync,
            ["leave"] = _groups.LeaveAsync,
            ["send"] = _groups.SendAsync,
            ["request"] = _groups.RequestAsync,
            ["flush"] = _groups.FlushAsync,
            ["groups"] = directory.GroupsAsync,
            ["find"] = directory.FindAsync,
            ["delete"] = directory.DeleteAsync,
            ["delete-all"] = directory.DeleteAllAsync,
            ["kill"] = directory.KillAsync,
            ["watch"] = directory.WatchAsync,
            ["configure"] = _groups.ConfigureAsync,
            ["migrate"] = _groups.MigrateAsync,
            ["rank"] = directory.RankAsync,
            ["lock.acquire"] = locks.AcquireAsync, ["lock.try"] = locks.TryAsync, ["lock.release"] = (command, _) => locks.ReleaseAsync(command), ["lock.who"] = locks.WhoAsync,
            ["sem.wait"] = locks.WaitAsync, ["sem.signal"] = locks.SignalAsync,
            ["rw.read"] = locks.ReadAsync, ["rw.write"] = locks.WriteAsync, ["rw.release"] = (command, _) => locks.ReleaseAsync(command),
        };
        new DataOperations(node).AddTo(_operations);
        new TaskOperations(node).AddTo(_operations);
        new BoardOperations(node).AddTo(_operations);
        new NewsOperations(node, answers, recovery).AddTo(_operations);
        recovery.AddTo(_operations); // last: it logs what the others open
    }

    /// <summary>The names of the operations, without `stop` and `crash`.</summary>
    public IReadOnlyCollection<string> Operations => _operations.Keys;

    /// <summary>Runs until something ends it; gives the exit code.</summary>
    /// <param name="terminate">The operating system asks the process to end.</param>
    public async Task<int> RunAsync(IAsyncEnumerable<byte[]?> commands, CancellationToken terminate)
    {
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(terminate);
        Task<JsonElement?> reading = new CommandLoop(_operations, _answers, Crash).RunAsync(commands, ended.Token);
        Task first = await Task.WhenAny(reading, _node.Completion, _groups.Killed, Task.Delay(Timeout.Infinite, ended.Token)).ConfigureAwait(false);
        await ended.CancelAsync().ConfigureAwait(false);
        if (first == _node.Completion)
            return NodeEnded();

        JsonElement? stop = first == reading ? await reading.ConfigureAwait(false) : null;
        await StopNodeAsync().ConfigureAwait(false);
        _feed.Close();
        if (stop is { } id)
            _answers.Ok(id, null);
        return ExitCode.Stopped;
    }

    // The command, which ends the process at once.
    private void Crash()
    {
        _isCrashed = true;
        _node.Crash();
    }

    private async Task StopNodeAsync()
    {
        try
        {
            await _node.StopAsync(CancellationToken.None).AsTask().WaitAsync(StopPatience).ConfigureAwait(false);
        }
        catch (Exception e) when (e is TimeoutException or GroupException)
        {
            _node.Crash(); // an orderly stop that cannot be had in time ends like a crash (protocol, section 5)
        }
    }

    private int NodeEnded()
    {
        if (_isCrashed)
            return ExitCode.Crashed; // whoever comes first, the command or who waits for the node's end: the process ends as one that crashed
        _feed.Close();
        Exception? error = _node.Completion.Exception?.InnerException;
        if (error is null)
            return ExitCode.Stopped;
        _answers.Fatal(error);
        return ExitCode.Of(error);
    }
}

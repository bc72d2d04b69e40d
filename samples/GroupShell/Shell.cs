// The shell's loop: reads commands, starts them in the order given, and answers each when it is done.
// Keeps: whatever comes on standard input gets an answer and ends nothing but itself; only `stop`, `crash`, the end of the
// input and the node's own end stop the process.
using System.Text.Json;
using Core.Groups;

namespace GroupShell;

/// <summary>One node and the client that drives it.</summary>
internal sealed class Shell
{
    private static readonly TimeSpan StopPatience = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan EndOfInputGrace = TimeSpan.FromSeconds(2);

    private readonly GroupNode _node;
    private readonly EventFeed _feed;
    private readonly Answers _answers;
    private readonly GroupOperations _groups;
    private readonly Dictionary<string, Func<CommandFields, CancellationToken, Task<AnswerFields?>>> _operations;
    private readonly OperationCount _running = new();

    /// <param name="migrants">Told how this shell takes members that move here.</param>
    /// <param name="logsAll">All objects and groups are logged.</param>
    public Shell(GroupNode node, EventFeed feed, Answers answers, Migrants migrants, bool logsAll)
    {
        (_node, _feed, _answers) = (node, feed, answers);
        var lanes = new GroupLanes();
        var recovery = new RecoveryOperations(node, feed, lanes, logsAll);
        _groups = new GroupOperations(node, feed, lanes, recovery);
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
            ["members"] = _groups.MembersAsync,
            ["leave"] = _groups.LeaveAsync,
            ["send"] = _groups.SendAsync,
            ["request"] = _groups.RequestAsync,
            ["flush"] = _groups.FlushAsync,
            ["groups"] = directory.GroupsAsync,
            ["delete"] = directory.DeleteAsync,
            ["kill"] = directory.KillAsync,
            ["watch"] = directory.WatchAsync,
            ["configure"] = _groups.ConfigureAsync,
            ["migrate"] = _groups.MigrateAsync,
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

    /// <summary>Runs until something ends it; gives the exit code.</summary>
    /// <param name="terminate">The operating system asks the process to end.</param>
    public async Task<int> RunAsync(IAsyncEnumerable<byte[]?> commands, CancellationToken terminate)
    {
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(terminate);
        Task<JsonElement?> reading = ReadAsync(commands, ended.Token);
        Task first = await Task.WhenAny(reading, _node.Completion, _groups.Killed, Task.Delay(Timeout.Infinite, ended.Token)).ConfigureAwait(false);
        await ended.CancelAsync().ConfigureAwait(false);
        if (first == _node.Completion)
            return NodeEnded();

        JsonElement? stop = first == reading ? await reading.ConfigureAwait(false) : null;
        if (first == reading && stop is null)
            await Task.WhenAny(_running.WhenNone(), Task.Delay(EndOfInputGrace, CancellationToken.None)).ConfigureAwait(false);
        await StopNodeAsync().ConfigureAwait(false);
        _feed.Close();
        if (stop is { } id)
            _answers.Ok(id, null);
        return ExitCode.Stopped;
    }

    // Null: the input ended. Else the id of the command `stop`.
    private async Task<JsonElement?> ReadAsync(IAsyncEnumerable<byte[]?> commands, CancellationToken ct)
    {
        await foreach (byte[]? line in commands.WithCancellation(ct).ConfigureAwait(false))
        {
            if (line is not null && line.AsSpan().Trim(" \t\r"u8).IsEmpty)
                continue;
            if (Start(line) is { } stop)
                return stop;
        }

        return null;
    }

    /// <summary>Starts the command of one line. Gives the id of a `stop`, else null.</summary>
    private JsonElement? Start(byte[]? line)
    {
        JsonElement id = default;
        try
        {
            JsonElement command = CommandLine.Parse(line, out id, out string operation);
            switch (operation)
            {
                case "stop":
                    return id.ValueKind == JsonValueKind.Undefined ? JsonDocument.Parse("null"u8.ToArray()).RootElement : id;
                case "crash":
                    _node.Crash();
                    Environment.Exit(ExitCode.Crashed);
                    break;
            }

            var run = _operations.GetValueOrDefault(operation) ?? throw CommandLine.Unknown(operation);
            var fields = new CommandFields(command);
            _ = RunAsync(id, fields, fields.Timeout(), run);
        }
        catch (Exception e)
        {
            _answers.Error(id, e);
        }

        return null;
    }

    private async Task RunAsync(JsonElement id, CommandFields fields, TimeSpan timeout, Func<CommandFields, CancellationToken, Task<AnswerFields?>> run)
    {
        _running.Started();
        try
        {
            using CancellationTokenSource? limit = timeout == Timeout.InfiniteTimeSpan ? null : new CancellationTokenSource(timeout);
            _answers.Ok(id, await run(fields, limit?.Token ?? CancellationToken.None).ConfigureAwait(false));
        }
        catch (Exception e)
        {
            _answers.Error(id, e);
        }
        finally
        {
            _running.Ended();
        }
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
        _feed.Close();
        Exception? error = _node.Completion.Exception?.InnerException;
        if (error is null)
            return ExitCode.Stopped;
        _answers.Fatal(error);
        return ExitCode.Of(error);
    }

    /// <summary>Counts the operations that have not been answered.</summary>
    private sealed class OperationCount
    {
        private readonly Lock _gate = new();
        private int _running;
        private TaskCompletionSource? _none;

        public void Started()
        {
            lock (_gate)
                _running++;
        }

        public void Ended()
        {
            lock (_gate)
            {
                if (--_running == 0)
                    _none?.TrySetResult();
            }
        }

        public Task WhenNone()
        {
            lock (_gate)
                return _running == 0 ? Task.CompletedTask : (_none = new(TaskCreationOptions.RunContinuationsAsynchronously)).Task;
        }
    }
}

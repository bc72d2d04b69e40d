// Reads commands, starts them in the order given, and answers each when it is done: the same for a node and for a client.
// Keeps: whatever comes on standard input gets an answer and ends nothing but itself; `stop` and the end of the input end the loop.
using System.Text.Json;

namespace GroupShell;

/// <summary>An operation: its command's fields in, the fields of its answer out.</summary>
internal delegate Task<AnswerFields?> Operation(CommandFields command, CancellationToken ct);

/// <summary>The commands of one process.</summary>
/// <param name="operations">By name, without `stop` and `crash`.</param>
/// <param name="answers">Where the answers go.</param>
/// <param name="crash">Ends everything without a goodbye, before the process ends at once.</param>
internal sealed class CommandLoop(IReadOnlyDictionary<string, Operation> operations, Answers answers, Action crash)
{
    private static readonly TimeSpan EndOfInputGrace = TimeSpan.FromSeconds(2);

    private readonly OperationCount _running = new();

    /// <summary>Reads until `stop`, whose id it gives, or the end of the input: null, when what was asked for is done or has had its time.</summary>
    public async Task<JsonElement?> RunAsync(IAsyncEnumerable<byte[]?> commands, CancellationToken ct)
    {
        await foreach (byte[]? line in commands.WithCancellation(ct).ConfigureAwait(false))
        {
            if (line is not null && line.AsSpan().Trim(" \t\r"u8).IsEmpty)
                continue;
            if (Start(line) is { } stop)
                return stop;
        }

        await Task.WhenAny(_running.WhenNone(), Task.Delay(EndOfInputGrace, CancellationToken.None)).ConfigureAwait(false);
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
                    crash();
                    Environment.Exit(ExitCode.Crashed);
                    break;
            }

            var run = operations.GetValueOrDefault(operation) ?? throw CommandLine.Unknown(operation);
            var fields = new CommandFields(command);
            _ = RunAsync(id, fields, fields.Timeout(), run);
        }
        catch (Exception e)
        {
            answers.Error(id, e);
        }

        return null;
    }

    private async Task RunAsync(JsonElement id, CommandFields fields, TimeSpan timeout, Operation run)
    {
        _running.Started();
        try
        {
            using CancellationTokenSource? limit = timeout == Timeout.InfiniteTimeSpan ? null : new CancellationTokenSource(timeout);
            answers.Ok(id, await run(fields, limit?.Token ?? CancellationToken.None).ConfigureAwait(false));
        }
        catch (Exception e)
        {
            answers.Error(id, e);
        }
        finally
        {
            _running.Ended();
        }
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

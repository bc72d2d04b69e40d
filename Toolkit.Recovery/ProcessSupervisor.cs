// Starts a program, and starts it again when it has ended by itself: the restart actions of the recovery manager, one program each.
// Keeps: it is never started more often than the limit says. Follows: "Exploiting virtual synchrony", section 3.6.
using System.Diagnostics;
using Core.Groups;

namespace Toolkit.Recovery;

/// <summary>
/// What a program has to do when it starts. A program that uses <see cref="GroupNodeRecoveryExtensions.JoinLoggedAsync"/> need not care: that decides again, for
/// each group, when more is known.
/// </summary>
public enum RestartMode
{
    /// <summary>None of its groups runs, as far as is known, and there may be logs: it may have to bring them back.</summary>
    Recover,

    /// <summary>One of its groups runs, or is about to, or it has no logs: it joins.</summary>
    Join,
}

/// <summary>One start of a program.</summary>
/// <param name="Attempt">1 for the first start, then one more each time.</param>
/// <param name="Mode">What it has to do.</param>
/// <param name="LastExitCode">How it ended the last time; null at the first start.</param>
public sealed record SupervisedStart(int Attempt, RestartMode Mode, int? LastExitCode);

/// <summary>What is supervised, and how.</summary>
public sealed class SupervisorOptions
{
    /// <summary>The program's file.</summary>
    public required string Program { get; init; }

    /// <summary>Its arguments at a start: the right ones for recovering, or for joining.</summary>
    public required Func<SupervisedStart, IEnumerable<string>> Arguments { get; init; }

    /// <summary>The directory of the program's stable store (<see cref="GroupNodeOptions.DataDirectory"/>), to see whether it has logs; null: it has none.</summary>
    public string? DataDirectory { get; init; }

    /// <summary>How often it is started again at most within <see cref="Window"/>; from 0.</summary>
    public int MaximumRestarts { get; init; } = 5;

    /// <summary>The time in which restarts are counted.</summary>
    public TimeSpan Window { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>How long it stays down before a restart; twice as long each time within the window.</summary>
    public TimeSpan Delay { get; init; } = TimeSpan.FromMilliseconds(200);

    /// <summary>The exit codes with which it is not started again: it ended as it wanted to.</summary>
    public IReadOnlyCollection<int> FinalExitCodes { get; init; } = [0];

    /// <summary>Called before every start, with the process id of none yet; for logs. Must not throw.</summary>
    public Action<SupervisedStart>? OnStarting { get; init; }
}

/// <summary>How a supervised program came to its end.</summary>
/// <param name="ExitCode">Of the last process.</param>
/// <param name="Starts">How often it was started.</param>
/// <param name="GaveUp">It would have been started again, but that would have been too often.</param>
public sealed record SupervisedEnd(int ExitCode, int Starts, bool GaveUp);

/// <summary>Runs one program.</summary>
public static class ProcessSupervisor
{
    /// <summary>Runs the program until it ends for good, or too often, or is cancelled: then its process is killed.</summary>
    /// <param name="options">What and how.</param>
    /// <param name="ct">Ends it.</param>
    /// <exception cref="System.ComponentModel.Win32Exception">The program cannot be started.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static Task<SupervisedEnd> RunAsync(SupervisorOptions options, CancellationToken ct = default) => RunAsync(options, runs: null, ct);

    /// <param name="runs">Whether one of the program's groups runs.</param>
    internal static async Task<SupervisedEnd> RunAsync(SupervisorOptions options, Func<bool>? runs, CancellationToken ct)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentOutOfRangeException.ThrowIfNegative(options.MaximumRestarts, nameof(options));
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(options.Window, TimeSpan.Zero, nameof(options));
        var restarts = new Queue<long>();
        int? exitCode = null;
        for (int attempt = 1; ; attempt++)
        {
            RestartMode mode = HasLogs(options.DataDirectory) && !(runs?.Invoke() ?? false) ? RestartMode.Recover : RestartMode.Join;
            var start = new SupervisedStart(attempt, mode, exitCode);
            options.OnStarting?.Invoke(start);
            exitCode = await RunOnceAsync(options, start, ct).ConfigureAwait(false);
            if (options.FinalExitCodes.Contains(exitCode.Value)) return new SupervisedEnd(exitCode.Value, attempt, GaveUp: false);
            while (restarts.TryPeek(out long oldest) && Stopwatch.GetElapsedTime(oldest) > options.Window) restarts.Dequeue();
            if (restarts.Count >= options.MaximumRestarts) return new SupervisedEnd(exitCode.Value, attempt, GaveUp: true);
            await Task.Delay(options.Delay * Math.Pow(2, restarts.Count), TimeProvider.System, ct).ConfigureAwait(false);
            restarts.Enqueue(Stopwatch.GetTimestamp());
        }
    }

    private static async Task<int> RunOnceAsync(SupervisorOptions options, SupervisedStart start, CancellationToken ct)
    {
        ct.ThrowIfCancellationRequested();
        using var process = new Process { StartInfo = new ProcessStartInfo(options.Program, options.Arguments(start)) { UseShellExecute = false } };
        process.Start();
        try
        {
            await process.WaitForExitAsync(ct).ConfigureAwait(false);
            return process.ExitCode;
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            throw;
        }
    }

    // The list of logs is a value of the store (Logs/LogNames), and its file is called so (Core.Groups/Storage/README.md).
    private static bool HasLogs(string? directory) => directory is not null && File.Exists(Path.Combine(directory, Logs.LogNames.Groups + ".value"));
}

// A child process that talks to its parent in lines of JSON: its standard output up, its standard input down.
// Keeps: a child never outlives its parent (its standard input ends then), nor hangs the parent (every wait is bounded).
using System.Diagnostics;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Samples.Shared;

/// <summary>The parent's end.</summary>
internal sealed class ChildProcess : IAsyncDisposable
{
    /// <summary>How long a child may be silent to the others: one that was killed is noticed at once, and one that a busy machine lets wait is none.</summary>
    public static readonly TimeSpan MayStandStill = TimeSpan.FromSeconds(10);

    private const int StopSignal = 19; // SIGSTOP and SIGCONT on Linux
    private const int ContinueSignal = 18;
    private static readonly TimeSpan EndPatience = TimeSpan.FromSeconds(8);

    private readonly Process _process;
    private readonly Lock _gate = new();
    private volatile bool _isFrozen;

    private ChildProcess(string name, Process process) => (Name, _process) = (name, process);

    public string Name { get; }

    /// <summary>Starts this very program with other arguments.</summary>
    /// <param name="onLine">Called with every line, one at a time, on the thread pool. Lines that are not JSON objects are passed over.</param>
    public static ChildProcess Start(string name, IEnumerable<string> arguments, Action<ChildProcess, JsonObject> onLine)
    {
        string program = Environment.ProcessPath ?? throw new InvalidOperationException("This process does not know its own program.");
        var start = new ProcessStartInfo(program) { RedirectStandardInput = true, RedirectStandardOutput = true, UseShellExecute = false };
        if (Path.GetFileNameWithoutExtension(program) == "dotnet")
            start.ArgumentList.Add(Assembly.GetEntryAssembly()!.Location);
        foreach (string argument in arguments)
            start.ArgumentList.Add(argument);

        var process = new Process { StartInfo = start };
        var child = new ChildProcess(name, process);
        process.OutputDataReceived += (_, line) =>
        {
            if (Lines.Parse(line.Data) is { } said)
                onLine(child, said);
        };
        process.Start();
        process.BeginOutputReadLine();
        return child;
    }

    /// <summary>Whether the process has ended; its exit code then.</summary>
    public int? ExitCode => _process.HasExited ? _process.ExitCode : null;

    /// <summary>Gives the child a line. One that has ended does not hear it.</summary>
    public void Tell(JsonObject line)
    {
        try
        {
            lock (_gate)
            {
                _process.StandardInput.WriteLine(line.ToJsonString());
                _process.StandardInput.Flush();
            }
        }
        catch (IOException)
        {
            // Its end shows elsewhere.
        }
    }

    /// <summary>SIGKILL.</summary>
    public void Kill() => _process.Kill();

    /// <summary>SIGSTOP: the process is silent and keeps its connections.</summary>
    public void Freeze()
    {
        _isFrozen = true;
        Signal(_process.Id, StopSignal);
    }

    /// <summary>SIGCONT.</summary>
    public void Thaw()
    {
        _isFrozen = false;
        Signal(_process.Id, ContinueSignal);
    }

    /// <summary>Ends the child: in order by the end of its input; by SIGKILL if it takes too long.</summary>
    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            if (_isFrozen)
                Thaw();
            try
            {
                _process.StandardInput.Close();
            }
            catch (IOException)
            {
                // What was not flushed has no reader any more.
            }

            using var patience = new CancellationTokenSource(EndPatience);
            try
            {
                await _process.WaitForExitAsync(patience.Token).ConfigureAwait(false);
            }
            catch (OperationCanceledException)
            {
                _process.Kill();
            }
        }

        _process.Dispose();
    }

    private static void Signal(int process, int signal)
    {
        if (SendSignal(process, signal) != 0)
            throw new InvalidOperationException($"Signal {signal} could not be sent to process {process}.");
    }

    [DllImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static extern int SendSignal(int process, int signal);
}

/// <summary>One JSON object a line.</summary>
internal static class Lines
{
    /// <summary>Null: there is no line, or it is not a JSON object.</summary>
    public static JsonObject? Parse(string? line)
    {
        try
        {
            return line is null ? null : JsonNode.Parse(line) as JsonObject;
        }
        catch (JsonException)
        {
            return null;
        }
    }
}

// A GroupShell process, driven through its pipes.
using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text.Json.Nodes;

namespace Core.Groups.Tests.Samples;

internal sealed class Shell : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly Process _process;
    private readonly BlockingCollection<string> _lines = [];
    private readonly List<JsonObject> _read = [];
    private int _lastId;

    public Shell(string name, string listen, string[] seeds, params string[] more) : this([], name, listen, seeds, more) { }

    /// <param name="wrapper">The command that executes the shell, in place of itself; empty: none.</param>
    public Shell(string[] wrapper, string name, string listen, string[] seeds, params string[] more)
    {
        string program = Path.Combine(AppContext.BaseDirectory, "GroupShell");
        var start = new ProcessStartInfo(wrapper.Length > 0 ? wrapper[0] : program)
        {
            RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false,
        };
        foreach (string argument in wrapper.Length > 0 ? [.. wrapper[1..], program] : Array.Empty<string>())
            start.ArgumentList.Add(argument);
        // Longer than a busy machine stands still, where a test does not say what silence means.
        string[] patience = more.Contains("--suspect") || more.Contains("--client") ? [] : ["--suspect", "20s"];
        foreach (string argument in (string[])["--json", "--name", name, "--listen", listen, "--seeds", string.Join(',', seeds), .. patience, .. more])
            start.ArgumentList.Add(argument);
        _process = new Process { StartInfo = start };
        _process.OutputDataReceived += (_, line) =>
        {
            if (line.Data is { } text)
                _lines.Add(text);
        };
        _process.Start();
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
    }

    public void Write(string text)
    {
        _process.StandardInput.Write(text);
        _process.StandardInput.Flush();
    }

    public void Tell(string id, string operation, string fields) =>
        Write($"{{\"id\":\"{id}\",\"op\":\"{operation}\"{(fields.Length > 0 ? "," : "")}{fields}}}\n");

    public Task<JsonObject> AskAsync(string operation, string fields)
    {
        string id = $"{++_lastId}";
        Tell(id, operation, fields);
        return ReadAsync(line => line["re"] is JsonValue re && re.ToString() == id);
    }

    /// <summary>The first line of this kind, among those that came before too.</summary>
    public Task<JsonObject> ReadAsync(Func<JsonObject, bool> isIt) => Task.Run(() =>
    {
        int next = 0;
        while (true)
        {
            for (; next < _read.Count; next++)
            {
                if (isIt(_read[next]))
                    return _read[next];
            }

            if (!_lines.TryTake(out string? line, Patience))
                throw new TimeoutException($"The line did not come. Before: {string.Join('\n', _read.TakeLast(10).Select(l => l.ToJsonString()))}");
            _read.Add(JsonNode.Parse(line)!.AsObject());
        }
    });

    /// <summary>Until the last line of a kind is as it must be, and stays so as far as lines have come.</summary>
    public Task ReadUntilLastAsync(Func<JsonObject, bool> isKind, Func<JsonObject, bool> isIt) => Task.Run(() =>
    {
        for (long start = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(start) < Patience;)
        {
            TakeWhatCame();
            if (_read.FindLast(line => isKind(line)) is { } last && isIt(last)) return;
        }

        throw new TimeoutException($"The last line of the kind is {_read.FindLast(line => isKind(line))?.ToJsonString()}");
    });

    /// <summary>The first answer of several shells. One at a time may read a shell's lines, so the looks are short.</summary>
    public static async Task<JsonObject> FirstAsync(params (Shell Shell, string Id)[] asked)
    {
        for (long start = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(start) < Patience;)
        {
            foreach ((Shell shell, string id) in asked)
            {
                if (await Task.Run(() => shell.Look(line => (string?)line["re"] == id)) is { } found)
                    return found;
            }
        }

        throw new TimeoutException("No answer came.");
    }

    private JsonObject? Look(Func<JsonObject, bool> isIt)
    {
        TakeWhatCame();
        return _read.FirstOrDefault(isIt);
    }

    private void TakeWhatCame()
    {
        while (_lines.TryTake(out string? line, TimeSpan.FromMilliseconds(10)))
            _read.Add(JsonNode.Parse(line)!.AsObject());
    }

    /// <summary>The lines that were read so far.</summary>
    public IReadOnlyList<JsonObject> Seen => _read;

    public void Kill() => _process.Kill();

    /// <summary>Sends the process a signal by its name (STOP, CONT).</summary>
    public async Task SignalAsync(string signal)
    {
        using Process kill = Process.Start("kill", [$"-{signal}", $"{_process.Id}"]);
        await kill.WaitForExitAsync().WaitAsync(Patience);
        Assert.Equal(0, kill.ExitCode);
    }

    public void CloseInput() => _process.StandardInput.Close();

    public async Task<int> ExitAsync()
    {
        await _process.WaitForExitAsync().WaitAsync(Patience);
        return _process.ExitCode;
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
            _process.Kill();
        await _process.WaitForExitAsync();
        _process.Dispose();
        _lines.Dispose();
    }
}

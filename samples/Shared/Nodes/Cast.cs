// The child processes of a sample and what they have said, for a parent that waits for it.
// Keeps: every wait has its time; whatever fails, all children are ended.
using System.Diagnostics;
using System.Text.Json.Nodes;

namespace Samples.Shared;

/// <summary>The children. Safe for any thread.</summary>
/// <param name="names">Their names; each has an address of its own.</param>
internal sealed class Cast(string[] names) : IAsyncDisposable
{
    private readonly string[] _addresses = FreeAddresses.Take(names.Length);
    private readonly Dictionary<string, ChildProcess> _children = [];
    private readonly Dictionary<string, List<JsonObject>> _said = [];
    private readonly Lock _gate = new();
    private TaskCompletionSource _changed = NewSource();

    /// <summary>Starts a child, again if it has ended. What it said before is forgotten.</summary>
    public void Start(string name, string role, params string[] more)
    {
        var said = new List<JsonObject>();
        lock (_gate)
            _said[name] = said;
        string[] arguments = NodeProcess.Arguments(role, name, _addresses[Array.IndexOf(names, name)], _addresses, more);
        ChildProcess child = ChildProcess.Start(name, arguments, (_, line) =>
        {
            lock (_gate)
            {
                said.Add(line);
                _changed.TrySetResult();
                _changed = NewSource();
            }
        });
        lock (_gate)
            _children[name] = child;
    }

    /// <summary>SIGKILL of a child that lives; completes when the process is gone.</summary>
    public async Task KillAsync(string name)
    {
        ChildProcess child;
        lock (_gate)
            _children.Remove(name, out child!);
        child.Kill();
        await child.DisposeAsync();
    }

    /// <summary>Whether the process has ended.</summary>
    public bool HasEnded(string name)
    {
        lock (_gate)
            return !_children.TryGetValue(name, out ChildProcess? child) || child.ExitCode is not null;
    }

    /// <summary>Tells a child that lives.</summary>
    public void Tell(string name, JsonObject line)
    {
        lock (_gate)
            _children[name].Tell(line);
    }

    /// <summary>The lines of an event that a child has said since its start.</summary>
    public IReadOnlyList<JsonObject> Said(string name, string what)
    {
        lock (_gate)
            return [.. _said.GetValueOrDefault(name, []).Where(line => (string?)line["ev"] == what)];
    }

    /// <summary>Waits until a child has said something; gives its last line of the kind.</summary>
    /// <exception cref="TimeoutException">It did not within the time.</exception>
    public async Task<JsonObject> WaitAsync(string name, string what, TimeSpan patience)
    {
        long start = Stopwatch.GetTimestamp();
        while (true)
        {
            Task changed;
            lock (_gate)
                changed = _changed.Task;
            if (Said(name, what) is [.., { } last])
                return last;
            TimeSpan left = patience - Stopwatch.GetElapsedTime(start);
            if (left <= TimeSpan.Zero || await Task.WhenAny(changed, Task.Delay(left)) != changed)
                throw new TimeoutException($"{name} has not said '{what}' within {patience.TotalSeconds:F0} s.");
        }
    }

    public async ValueTask DisposeAsync() => await Task.WhenAll(_children.Values.Select(c => c.DisposeAsync().AsTask()));

    private static TaskCompletionSource NewSource() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}

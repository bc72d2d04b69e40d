// The moments at which processes are killed: as they are seen from outside, in the files of their stores and in what they say.
// Keeps: whoever waits for a moment waits for a bounded time.
namespace RecoveringService;

/// <summary>When a process is killed.</summary>
internal enum Moment
{
    /// <summary>Whatever it does.</summary>
    Any,

    /// <summary>It writes a checkpoint.</summary>
    Checkpoint,

    /// <summary>Its log begins a new part.</summary>
    LogRoll,

    /// <summary>It gives its state to another one, or takes it.</summary>
    Transfer,
}

/// <summary>Sees what a process does to its files.</summary>
internal sealed class StoreWatch : IDisposable
{
    private readonly FileSystemWatcher _watcher;
    private readonly TaskCompletionSource _seen = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <param name="directory">The directory of the process's store.</param>
    /// <param name="moment">What is waited for.</param>
    public StoreWatch(string directory, Moment moment)
    {
        Directory.CreateDirectory(directory);
        _watcher = new FileSystemWatcher(directory) { IncludeSubdirectories = true };
        _watcher.Created += (_, change) =>
        {
            if (Is(moment, change.Name ?? "")) _seen.TrySetResult();
        };
        _watcher.EnableRaisingEvents = true;
    }

    /// <summary>Completes when it happens.</summary>
    public Task Seen => _seen.Task;

    public void Dispose() => _watcher.Dispose();

    // Names of files: Core.Groups/Storage/README.md, Toolkit.Recovery/README.md.
    private static bool Is(Moment moment, string file) => moment switch
    {
        Moment.Checkpoint => file.StartsWith("state-", StringComparison.Ordinal),
        Moment.LogRoll => file.StartsWith("group-", StringComparison.Ordinal) && file.EndsWith(".segment", StringComparison.Ordinal),
        _ => false,
    };
}

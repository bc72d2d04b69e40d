// Counts what runs in the background, so that the end can wait for it.

namespace Core.Groups.Transport;

/// <summary>Thread-safe.</summary>
/// <param name="onDefect">Told what a piece of work threw: each handles what it expects, so this is a defect.</param>
internal sealed class TaskTracker(Action<Exception> onDefect)
{
    private readonly Lock _gate = new();
    private readonly TaskCompletionSource _idle = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _running;
    private bool _isClosed;

    /// <summary>Runs work on the thread pool; not at all once closed.</summary>
    /// <returns>Whether it runs.</returns>
    public bool TryRun(Func<Task> work)
    {
        lock (_gate)
        {
            if (_isClosed)
            {
                return false;
            }
            _running++;
        }
        _ = Task.Run(async () =>
        {
            try
            {
                await work().ConfigureAwait(false);
            }
            catch (Exception e)
            {
                onDefect(e);
            }
            finally
            {
                Leave();
            }
        });
        return true;
    }

    /// <summary>Lets nothing in any more, and waits for what runs.</summary>
    public Task CloseAsync()
    {
        lock (_gate)
        {
            _isClosed = true;
            if (_running == 0)
            {
                _idle.TrySetResult();
            }
        }
        return _idle.Task;
    }

    private void Leave()
    {
        lock (_gate)
        {
            _running--;
            if (_running == 0 && _isClosed)
            {
                _idle.TrySetResult();
            }
        }
    }
}

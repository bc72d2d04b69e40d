namespace Toolkit.Recovery;

/// <summary>Wakes all who wait, again and again. Take <see cref="Next"/>, look, then await it: no change is missed.</summary>
internal sealed class Pulse
{
    private TaskCompletionSource _next = NewSource();

    public Task Next => Volatile.Read(ref _next).Task;

    public void Beat() => Interlocked.Exchange(ref _next, NewSource()).TrySetResult();

    private static TaskCompletionSource NewSource() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}

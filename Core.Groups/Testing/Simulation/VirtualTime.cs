// The clock of a simulated world, and everything that is still to happen in it.
// Keeps: events run in the order of their time, and those of one instant in the order in which they were scheduled.
namespace Core.Groups.Testing.Simulation;

/// <summary>A queue of events on virtual time. It stands still between events and needs no real time at all.</summary>
internal sealed class VirtualTime
{
    private readonly PriorityQueue<Action, (long At, long Number)> events = new();
    private long scheduled;

    /// <summary>The time since the world began.</summary>
    public TimeSpan Now { get; private set; }

    /// <summary>How many events have run.</summary>
    public long Executed { get; private set; }

    public void After(TimeSpan delay, Action action) => At(Now + delay, action);

    public void At(TimeSpan at, Action action) =>
        events.Enqueue(action, (Math.Max(at.Ticks, Now.Ticks), scheduled++));

    /// <summary>Runs the next event if it is due by <paramref name="limit"/>; otherwise moves the clock there.</summary>
    public bool RunNext(TimeSpan limit)
    {
        if (!events.TryPeek(out _, out var next) || next.At > limit.Ticks)
        {
            Now = limit > Now ? limit : Now;
            return false;
        }
        Action action = events.Dequeue();
        Now = TimeSpan.FromTicks(next.At);
        Executed++;
        action();
        return true;
    }
}

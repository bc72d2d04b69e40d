// The event loop of a node: many threads give inputs, one at a time runs turns, whichever finds the loop idle.
// Keeps: turns never overlap; an input that was accepted is taken by a later turn (no lost wake-up); a turn that is due
// by time runs on the loop's own clock thread, so heartbeats do not depend on the thread pool.
using System.Diagnostics;

namespace Core.Groups.Hosting;

/// <summary>What an <see cref="EventLoop{TInput}"/> runs.</summary>
internal interface ITurn<TInput>
{
    /// <summary>Takes all inputs that are there. Returns the time of the next turn if no input comes before. Must not throw.</summary>
    TimeSpan Run(ReadOnlySpan<TInput> inputs);
}

/// <summary>Where inputs go.</summary>
internal interface IInputs<TInput>
{
    /// <summary>
    /// Gives an input to the next turn. With <paramref name="schedule"/> that turn runs soon, on the thread pool, and takes
    /// whatever else has come by then; without, the caller sees to it (RunHere or Schedule).
    /// </summary>
    void Post(in TInput input, bool schedule = true);
}

/// <summary>A queue of inputs and the right to run the next turn. Safe for any thread.</summary>
internal sealed class EventLoop<TInput>(ITurn<TInput> turn, string name) : IInputs<TInput>, IThreadPoolWorkItem
{
    /// <summary>How late an input may be taken that was given with <see cref="PostLazily"/>.</summary>
    internal static readonly TimeSpan Laziness = TimeSpan.FromMilliseconds(20);

    // A borrowed thread goes back to its own work after so many turns; the thread pool goes on.
    private const int TurnsOnBorrowedThread = 8;
    private const int TurnsOnPoolThread = 64;

    private readonly long _start = Stopwatch.GetTimestamp();
    private readonly Lock _gate = new();
    private readonly AutoResetEvent _clockSignal = new(false);
    private SteadyList<TInput> _queue = new();
    private SteadyList<TInput> _batch = new(); // only the running thread touches it
    private bool _running = true; // until Start
    private bool _scheduled;
    private bool _due;
    private bool _stopped;
    private TimeSpan _deadline = TimeSpan.MaxValue;
    private TimeSpan _clockSleepsUntil = TimeSpan.MaxValue;

    /// <summary>Monotonic time since the loop was made.</summary>
    public TimeSpan Now => Stopwatch.GetElapsedTime(_start);

    /// <summary>Starts the clock thread and runs the first turn. What was posted before waits for it.</summary>
    public void Start()
    {
        new Thread(RunClock) { IsBackground = true, Name = name }.Start();
        lock (_gate)
        {
            _due = true;
            _running = false;
        }

        RunHere();
    }

    /// <summary>No turn begins from now on; inputs are dropped. Does not wait for a turn that is running.</summary>
    public void Stop()
    {
        lock (_gate)
        {
            _stopped = true;
            _queue.Clear(Now);
        }

        _clockSignal.Set();
    }

    /// <summary>Gives an input that may wait for the next turn, or for <see cref="Laziness"/>.</summary>
    public void PostLazily(in TInput input)
    {
        lock (_gate)
        {
            Append(input);
            if (!_running && !_scheduled)
            {
                SetDeadline(TimeSpan.FromTicks(Math.Min(_deadline.Ticks, (Now + Laziness).Ticks)));
            }
        }
    }

    /// <inheritdoc/>
    public void Post(in TInput input, bool schedule = true)
    {
        lock (_gate)
        {
            Append(input);
            if (schedule)
            {
                ScheduleIfIdle();
            }
        }
    }

    /// <summary>Has a turn run on the thread pool for what was posted.</summary>
    public void Schedule()
    {
        lock (_gate)
        {
            if (_queue.Count > 0)
            {
                ScheduleIfIdle();
            }
        }
    }

    /// <summary>Runs turns on this thread until there is nothing to do, unless another thread does so already.</summary>
    public void RunHere() => RunTurns(TurnsOnBorrowedThread);

    void IThreadPoolWorkItem.Execute()
    {
        lock (_gate)
        {
            _scheduled = false;
        }

        RunTurns(TurnsOnPoolThread);
    }

    private void Append(in TInput input)
    {
        if (!_stopped)
        {
            _queue.Add(input);
        }
    }

    private void ScheduleIfIdle()
    {
        if (!_running && !_scheduled && !_stopped)
        {
            _scheduled = true;
            ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
        }
    }

    private void RunTurns(int most)
    {
        lock (_gate)
        {
            if (_running)
            {
                return; // that thread looks at the queue again before it gives up its role
            }

            _running = true;
        }

        TimeSpan? next = null;
        for (int turns = 0; TryTake(turns < most, next); turns++)
        {
            next = turn.Run(_batch.Items);
            _batch.Clear(Now);
        }
    }

    // Takes the next turn's inputs, or gives up the role of the running thread: one step, or a wake-up could be lost.
    private bool TryTake(bool mayGoOn, TimeSpan? deadline)
    {
        lock (_gate)
        {
            if (deadline is { } time)
            {
                SetDeadline(time);
            }

            bool idle = _queue.Count == 0 && !_due;
            if (_stopped || idle || !mayGoOn)
            {
                _running = false;
                if (!idle)
                {
                    ScheduleIfIdle();
                }

                return false;
            }

            _due = false;
            (_queue, _batch) = (_batch, _queue);
            return true;
        }
    }

    private void SetDeadline(TimeSpan deadline)
    {
        _deadline = deadline;
        if (deadline < _clockSleepsUntil)
        {
            _clockSleepsUntil = deadline; // one signal is enough
            _clockSignal.Set();
        }
    }

    private void RunClock()
    {
        while (true)
        {
            bool run = false;
            int wait;
            lock (_gate)
            {
                if (_stopped)
                {
                    break;
                }

                TimeSpan now = Now;
                if (_deadline <= now)
                {
                    _due = run = true;
                    _deadline = TimeSpan.MaxValue; // the turn that is due sets the next
                }

                _clockSleepsUntil = _deadline;
                wait = run ? 0 : (int)Math.Min(Math.Ceiling((_deadline - now).TotalMilliseconds), 60_000);
            }

            if (run)
            {
                RunHere();
            }
            else
            {
                _clockSignal.WaitOne(wait);
            }
        }
    }
}

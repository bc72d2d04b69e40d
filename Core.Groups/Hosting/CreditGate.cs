// Flow control of one group at one sender (protocol, section 2: credit is taken before a message is numbered).
// Keeps: what is under way stays within the window (one larger message may go alone, a handler may overdraw up to twice
// the window); those who wait go in the order in which they came; a wait that is cancelled leaves nothing behind.
namespace Core.Groups.Hosting;

/// <summary>Lets inputs through as long as there is credit. Safe for any thread.</summary>
internal sealed class CreditGate<TInput>(string group, int window, IInputs<TInput> inputs)
{
    /// <summary>What a message costs besides its body: the machine accounts for it alike.</summary>
    public const int MessageOverhead = 64;

    private readonly Lock _gate = new();
    private LinkedList<Waiter>? _waiting; // null until somebody waits
    private long _underWay;
    private Func<Exception>? _closed;

    /// <summary>Bytes that are under way.</summary>
    public long UnderWay
    {
        get
        {
            lock (_gate)
            {
                return _underWay;
            }
        }
    }

    /// <summary>
    /// Posts an input as soon as there is credit for it, and completes then. It is posted before this returns, or by the
    /// thread that releases credit, so that inputs keep their order.
    /// </summary>
    /// <param name="insideHandler">Do not wait: overdraw.</param>
    /// <param name="schedule">As for <see cref="IInputs{TInput}.Post"/>, if there is credit at once.</param>
    /// <exception cref="OverdraftException">Inside a handler: twice the window is under way.</exception>
    public ValueTask PassAsync(in TInput input, int bytes, bool insideHandler, CancellationToken ct, bool schedule = true)
    {
        if (ct.IsCancellationRequested)
        {
            return ValueTask.FromCanceled(ct);
        }

        long cost = (long)bytes + MessageOverhead;
        Waiter waiter;
        lock (_gate)
        {
            if (_closed is not null)
            {
                return ValueTask.FromException(_closed());
            }

            if (_underWay == 0 || _underWay + cost <= (insideHandler ? 2L * window : window))
            {
                if (insideHandler || _waiting is not { Count: > 0 })
                {
                    _underWay += cost;
                    inputs.Post(input, schedule);
                    return ValueTask.CompletedTask;
                }
            }
            else if (insideHandler)
            {
                return ValueTask.FromException(new OverdraftException(group, window));
            }

            waiter = new Waiter(this, input, cost);
            waiter.Place = (_waiting ??= new()).AddLast(waiter);
        }

        return new ValueTask(waiter.WaitAsync(ct));
    }

    /// <summary>Gives credit back, and lets those go who wait for it.</summary>
    public void Release(long bytes)
    {
        lock (_gate)
        {
            _underWay = Math.Max(0, _underWay - bytes);
            while (_waiting?.First is { } first && (_underWay == 0 || _underWay + first.Value.Cost <= window))
            {
                _waiting.RemoveFirst();
                _underWay += first.Value.Cost;
                inputs.Post(first.Value.Input);
                first.Value.TrySetResult();
            }
        }
    }

    /// <summary>The membership is over: everyone who waits, and everyone who comes, gets an error.</summary>
    public void Close(Func<Exception> error)
    {
        lock (_gate)
        {
            _closed = error;
            _underWay = 0;
            if (_waiting is null)
            {
                return;
            }

            foreach (Waiter waiter in _waiting)
            {
                waiter.TrySetException(error());
            }

            _waiting.Clear();
        }
    }

    /// <summary>A membership begins, with nothing under way.</summary>
    public void Open()
    {
        lock (_gate)
        {
            _closed = null;
            _underWay = 0;
        }
    }

    private sealed class Waiter(CreditGate<TInput> owner, TInput input, long cost)
        : TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)
    {
        public TInput Input { get; } = input;
        public long Cost { get; } = cost;
        public LinkedListNode<Waiter>? Place { get; set; }

        public async Task WaitAsync(CancellationToken ct)
        {
            using (ct.UnsafeRegister(static (state, token) => ((Waiter)state!).Cancel(token), this))
            {
                await Task.ConfigureAwait(false);
            }
        }

        private void Cancel(CancellationToken ct)
        {
            lock (owner._gate)
            {
                if (Place!.List is null)
                {
                    return; // it went through, or the membership ended
                }

                owner._waiting!.Remove(Place);
            }

            TrySetCanceled(ct);
            owner.Release(0); // a smaller one behind it may fit
        }
    }
}

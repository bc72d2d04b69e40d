// The deliveries of one group on their way from the event loop to the handlers.
// Keeps: one at a time, in delivery order (views, messages and state requests alike), across memberships too; what was
// delivered to a membership that is over is never handed out (protocol, invariant 7).
namespace Core.Groups.Hosting;

/// <summary>What a mailbox holds.</summary>
internal enum MailKind : byte { Message, View, SaveState, LoadState, End, Configured, InspectJoin, Reconcile, Question }

/// <summary>
/// One thing for the application, at its place in the group's delivery order. A message is copied three times on its way: what
/// only the rare kinds need is behind one reference.
/// </summary>
internal readonly struct Mail
{
    public required MailKind Kind { get; init; }
    public Protocol.Delivery Delivery { get; init; }
    public long Token { get; init; }

    /// <summary>A <see cref="View"/>, a <see cref="ConfigurationEntry"/>, a <see cref="JoinRequest"/>, the sides of a merge, a state (null: none), or nothing.</summary>
    public object? Subject { get; init; }

    /// <summary>Whether handling it gives the event loop an input that someone waits for.</summary>
    public bool IsAnswered => Kind is not (MailKind.View or MailKind.Configured) && (Kind != MailKind.Message || Delivery.ReplyToken != 0);
}

/// <summary>Who wants to join, and what it brings for the members to look at.</summary>
internal sealed record JoinRequest(NodeId Joiner, ReadOnlyMemory<byte> Credentials);

/// <summary>Who takes the mail, and what the mailbox tells the event loop.</summary>
internal interface IMailHandler
{
    /// <summary>Whether messages can be taken; while they cannot, they and what is behind them are held.</summary>
    bool TakesMessages { get; }

    /// <summary>Handles one item. Never throws, nor gives a failed task.</summary>
    ValueTask HandleAsync(in Mail mail, int generation);

    /// <summary>So many messages have been handled, with so many bytes.</summary>
    void Consumed(int messages, long bytes, int generation);

    /// <summary>Something was answered: the event loop is to run, on this thread if that has nothing else to do.</summary>
    void WakeLoop(bool onThisThread);
}

/// <summary>A mailbox. The event loop stages and publishes; the pump runs on the thread pool.</summary>
internal sealed class Mailbox(IMailHandler handler, ProcessGroup? group) : IThreadPoolWorkItem
{
    private const int MessagesPerReport = 64;
    private const long BytesPerReport = 256 << 10;
    private const int NoMembership = -1;

    private readonly Lock _gate = new();
    private PooledList<Mail> _staged = new(kept: 0); // a node may be in thousands of groups that are idle
    private PooledList<Mail> _queue = new(kept: 0);
    private PooledList<Mail> _batch = new(kept: 0);
    private int _position;
    private int _batchGeneration = NoMembership;
    private int _generation = NoMembership;
    private bool _pumping;
    private TaskCompletionSource? _idle;

    /// <summary>Items that wait for the pump; an estimate while it runs.</summary>
    public int Waiting
    {
        get
        {
            lock (_gate)
            {
                return _queue.Count + Math.Max(0, _batch.Count - _position);
            }
        }
    }

    /// <summary>A membership begins: what is staged from now on belongs to it.</summary>
    public void Open(int generation)
    {
        lock (_gate)
        {
            _generation = generation;
        }
    }

    /// <summary>The membership was cut off: what waits is dropped. An item that is being handled is not interrupted.</summary>
    public void Drop()
    {
        lock (_gate)
        {
            _generation = NoMembership;
            _queue.Clear();
        }

        _staged.Clear();
    }

    /// <summary>Adds an item to this turn's deliveries. Event loop only. True if it is the first of the turn.</summary>
    public bool Stage(in Mail mail)
    {
        _staged.Add(mail);
        return _staged.Count == 1;
    }

    /// <summary>Hands this turn's deliveries over: one lock per turn. Event loop only.</summary>
    public void Publish()
    {
        lock (_gate)
        {
            if (_queue.Count == 0)
            {
                (_queue, _staged) = (_staged, _queue);
            }
            else
            {
                _queue.AddRange(_staged);
            }
        }

        _staged.Clear();
    }

    /// <summary>Starts the pump if there is something for it: after a publication, or when a handler was registered.</summary>
    public void StartPump()
    {
        lock (_gate)
        {
            if (_pumping || (_queue.Count == 0 && _position >= _batch.Count))
            {
                return;
            }

            _pumping = true;
        }

        ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
    }

    /// <summary>Completes when no handler runs and nothing waits that could be handled.</summary>
    public Task WhenIdle()
    {
        lock (_gate)
        {
            return _pumping ? (_idle ??= new(TaskCreationOptions.RunContinuationsAsynchronously)).Task : Task.CompletedTask;
        }
    }

    void IThreadPoolWorkItem.Execute() => _ = PumpAsync();

    private async Task PumpAsync()
    {
        using HandlerScope scope = HandlerScope.Enter(group);
        while (TryTakeBatch())
        {
            int messages = 0;
            long bytes = 0;
            bool answered = false;
            while (TryTakeItem(out Mail mail))
            {
                bool more = _position < _batch.Count;
                ValueTask handling = handler.HandleAsync(mail, _batchGeneration);
                if (!handling.IsCompletedSuccessfully)
                {
                    await handling.ConfigureAwait(false);
                }

                answered |= mail.IsAnswered;
                if (mail.IsAnswered && more)
                {
                    handler.WakeLoop(onThisThread: false);
                }

                if (mail.Kind == MailKind.Message)
                {
                    messages++;
                    bytes += mail.Delivery.Body.Length;
                    if (messages == MessagesPerReport || bytes >= BytesPerReport)
                    {
                        handler.Consumed(messages, bytes, _batchGeneration);
                        (messages, bytes) = (0, 0);
                    }
                }
            }

            if (messages > 0)
            {
                handler.Consumed(messages, bytes, _batchGeneration);
            }

            if (answered)
            {
                handler.WakeLoop(onThisThread: true);
            }
        }
    }

    // The next batch, or the rest of one that was held; else the pump ends (one step, or a wake-up could be lost).
    private bool TryTakeBatch()
    {
        lock (_gate)
        {
            if (_position >= _batch.Count || _batchGeneration != _generation)
            {
                _batch.Clear();
                (_batch, _queue) = (_queue, _batch);
                _position = 0;
                _batchGeneration = _generation;
            }

            bool held = _position < _batch.Count && _batch[_position].Kind == MailKind.Message && !handler.TakesMessages;
            if (_batch.Count > 0 && !held)
            {
                return true;
            }

            _pumping = false;
            _idle?.TrySetResult();
            _idle = null;
            return false;
        }
    }

    private bool TryTakeItem(out Mail mail)
    {
        mail = default;
        if (_position >= _batch.Count || _batchGeneration != Volatile.Read(ref _generation)
            || (_batch[_position].Kind == MailKind.Message && !handler.TakesMessages))
        {
            return false;
        }

        mail = _batch[_position++];
        return true;
    }
}

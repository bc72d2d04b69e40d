// Tells the application of changes, in the order of their delivery, one at a time, and never under the replica's gate.
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Toolkit.ReplicatedData.Space;

/// <summary>The events of one space. What a handler throws is logged, and the next event is told.</summary>
internal sealed partial class EventPump : IThreadPoolWorkItem
{
    private readonly Lock _gate = new();
    private Queue<Action> _events = [];
    private Queue<Action> _telling = [];
    private bool _isRunning;

    public ILogger Logger { get; set; } = NullLogger.Instance;

    /// <summary>Tells of something soon, after all that was given before.</summary>
    public void Tell(Action raise)
    {
        lock (_gate)
        {
            _events.Enqueue(raise);
            if (_isRunning) return;
            _isRunning = true;
        }

        ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
    }

    void IThreadPoolWorkItem.Execute()
    {
        while (true)
        {
            lock (_gate)
            {
                (_events, _telling) = (_telling, _events);
                _isRunning = _telling.Count > 0;
                if (!_isRunning) return;
            }

            while (_telling.TryDequeue(out Action? raise))
            {
                try
                {
                    raise();
                }
                catch (Exception e)
                {
                    HandlerThrew(Logger, e);
                }
            }
        }
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "A handler of changes of replicated data threw.")]
    private static partial void HandlerThrew(ILogger logger, Exception error);
}

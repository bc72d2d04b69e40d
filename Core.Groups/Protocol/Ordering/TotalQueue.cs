// The undelivered total messages of one group, lowest place in the total order first.
// Keeps: order = (timestamp, sender). Each sender's messages come in its own order, so a queue for each and a heap of their
// heads do: a message costs a comparison or two, however many wait.
namespace Core.Groups.Protocol.Ordering;

internal sealed class TotalQueue
{
    private readonly Dictionary<int, Queue<Message>> _bySender = [];
    private readonly PriorityQueue<Queue<Message>, ulong> _heads = new();

    private int _most;

    public int Count { get; private set; }

    /// <summary>Whether it is worth keeping when it is empty: after a burst its arrays are large.</summary>
    public bool IsSmall => _most <= 4096;

    /// <summary>All that wait, in no order that matters.</summary>
    public IEnumerable<Message> Messages => _bySender.Values.SelectMany(static q => q);

    public void Enqueue(Message message)
    {
        if (!_bySender.TryGetValue(message.Sender, out Queue<Message>? queue)) _bySender.Add(message.Sender, queue = new Queue<Message>());
        queue.Enqueue(message);
        if (queue.Count == 1) _heads.Enqueue(queue, message.TotalKey);
        _most = Math.Max(_most, ++Count);
    }

    public bool TryPeek([System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out Message? message)
    {
        message = _heads.TryPeek(out Queue<Message>? first, out _) ? first.Peek() : null;
        return message is not null;
    }

    public void Dequeue()
    {
        Queue<Message> first = _heads.Peek();
        first.Dequeue();
        Count--;
        if (first.TryPeek(out Message? next)) _heads.DequeueEnqueue(first, next.TotalKey);
        else _heads.Dequeue();
    }

    /// <summary>A queue of the same messages but some.</summary>
    public TotalQueue Without(HashSet<Message> some)
    {
        var rest = new TotalQueue();
        foreach (Message message in Messages)
        {
            if (!some.Contains(message)) rest.Enqueue(message);
        }
        return rest;
    }

    public void Clear()
    {
        _bySender.Clear();
        _heads.Clear();
        Count = 0;
    }
}

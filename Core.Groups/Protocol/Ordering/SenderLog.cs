// The messages of one sender that this node holds, in the sender's order.
// Keeps: a message stays until it is delivered here and known to be stable: until then a recovery may need it.
using System.Runtime.InteropServices;

namespace Core.Groups.Protocol.Ordering;

internal sealed class SenderLog
{
    private readonly List<Message> _messages = [];
    private int _head;
    private int _firstUndone;

    /// <summary>The highest sequence that arrived on the sender's own link. Everything of the sender to this node up to it has arrived.</summary>
    public long Received { get; private set; }

    /// <summary>The highest sequence up to which everything received is delivered.</summary>
    public long DonePrefix { get; private set; }

    public int Count => _messages.Count - _head;

    public ReadOnlySpan<Message> Messages => CollectionsMarshal.AsSpan(_messages)[_head..];

    public void Append(Message message)
    {
        Received = message.Sequence;
        if (_messages.Count > _head && _messages[^1].Sequence >= message.Sequence) InsertInOrder(message);
        else _messages.Add(message);
    }

    /// <summary>Takes a message that another member forwarded in a recovery. False: it was here already.</summary>
    public bool Insert(Message message)
    {
        if (message.Sequence <= Received || Find(message.Sequence) is not null) return false;
        InsertInOrder(message);
        return true;
    }

    public Message? Find(long sequence)
    {
        int low = _head, high = _messages.Count - 1;
        while (low <= high)
        {
            // Sequences are dense as a rule: the first guess hits.
            long span = _messages[high].Sequence - _messages[low].Sequence;
            int probe = span == 0 ? low : low + (int)Math.Clamp((sequence - _messages[low].Sequence) * (high - low) / span, 0, high - low);
            long found = _messages[probe].Sequence;
            if (found == sequence) return _messages[probe];
            if (found < sequence) low = probe + 1;
            else high = probe - 1;
        }
        return null;
    }

    /// <summary>Whether a message is delivered here; one that is gone from the log was.</summary>
    public bool IsDone(long sequence)
    {
        if (sequence <= DonePrefix) return true;
        Message? message = Find(sequence);
        return message is null ? sequence <= Received : message.Done;
    }

    public void AdvanceDone()
    {
        while (_firstUndone < _messages.Count && _messages[_firstUndone].Done) _firstUndone++;
        DonePrefix = _firstUndone < _messages.Count ? Math.Min(_messages[_firstUndone].Sequence - 1, Received) : Received;
    }

    /// <summary>Lets go of what is delivered here and stable.</summary>
    public void Trim(long stable)
    {
        int head = _head;
        while (head < _messages.Count && _messages[head].Sequence <= stable && _messages[head].Done)
        {
            _messages[head] = null!;
            head++;
        }
        _head = head;
        if (_firstUndone < _head) _firstUndone = _head;
        if (_head > 64 && _head * 2 > _messages.Count)
        {
            _messages.RemoveRange(0, _head);
            _firstUndone -= _head;
            _head = 0;
            if (_messages.Count == 0 && _messages.Capacity > 4096) _messages.Capacity = 0;
        }
    }

    private void InsertInOrder(Message message)
    {
        int at = _messages.Count;
        while (at > _head && _messages[at - 1].Sequence > message.Sequence) at--;
        if (at > _head && _messages[at - 1].Sequence == message.Sequence) return;
        _messages.Insert(at, message);
        if (at < _firstUndone) _firstUndone = at;
    }
}

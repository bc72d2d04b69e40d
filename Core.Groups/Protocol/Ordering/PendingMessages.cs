// The messages that are received and not delivered: in streams that wait for their past, in the total orders, for a later
// epoch of their group, or for a group that this node is not in yet.
// Keeps: each is counted in the groups at whose epoch it is, so that a GBCAST there waits for it.
using System.Diagnostics.CodeAnalysis;

namespace Core.Groups.Protocol.Ordering;

internal sealed class PendingMessages(int self)
{
    /// <summary>How many fifo messages wait: a later one of the same sender in the same group must not overtake them.</summary>
    private int _waitingFifos;
    private TotalQueue? _spareTotals;
    /// <summary>Messages to groups that this node is not in yet, in the order in which they came.</summary>
    private readonly Dictionary<GroupId, List<Message>> _orphans = [];

    public GroupTable<GroupOrder> Groups { get; } = new();
    /// <summary>Streams in which something waits.</summary>
    public List<StreamProgress> Streams { get; } = [];
    /// <summary>Groups in whose total order something waits.</summary>
    public List<GroupOrder> WithTotals { get; } = [];
    /// <summary>Messages to more than one group.</summary>
    public SpreadMessages Spread { get; } = new();

    public bool IsEmpty => Streams.Count == 0 && WithTotals.Count == 0 && Spread.IsEmpty;

    public void AddOrphan(GroupId group, Message message)
    {
        if (!_orphans.TryGetValue(group, out List<Message>? orphans)) _orphans.Add(group, orphans = []);
        orphans.Add(message);
    }

    public IReadOnlyList<Message> OrphansOf(GroupId group) => _orphans.GetValueOrDefault(group) ?? (IReadOnlyList<Message>)[];

    public void RemoveOrphans(GroupId group) => _orphans.Remove(group);

    public void Enqueue(GroupOrder group, Message message)
    {
        if (group.Totals is null)
        {
            group.Totals = _spareTotals ?? new TotalQueue();
            _spareTotals = null;
            WithTotals.Add(group);
        }
        group.Totals.Enqueue(message);
    }

    public void Park(GroupOrder? group, Message message, StreamProgress stream)
    {
        stream.Waiting ??= new Queue<Message>();
        if (stream.Waiting.Count == 0 && !Streams.Contains(stream)) Streams.Add(stream);
        stream.Waiting.Enqueue(message);
        if (message.Kind == MessageKind.Fifo) _waitingFifos++;
        if (group is not null) group.Pending++;
    }

    public void Dequeue(StreamProgress stream)
    {
        Message message = stream.Waiting!.Dequeue();
        if (message.Kind == MessageKind.Fifo) _waitingFifos--;
        Forget(message);
    }

    /// <summary>A fifo message waits behind earlier ones of its sender that go to any of the same groups.</summary>
    public bool IsBehindFifo(Message message)
    {
        if (_waitingFifos == 0 || message.Kind != MessageKind.Fifo) return false;
        foreach (StreamProgress stream in Streams)
        {
            foreach (Message other in stream.Waiting!)
            {
                if (other.Kind == MessageKind.Fifo && other.Sender == message.Sender && other.Sequence < message.Sequence && SharesGroup(other, message)) return true;
            }
        }
        return false;
    }

    private static bool SharesGroup(Message one, Message other) => other.Destination.Spread is { } spread
        ? Array.Exists(spread.Parts, p => one.Destination.Addresses(p.Group)) : one.Destination.Addresses(other.Destination.Group);

    /// <summary>A message that waited is delivered, or given up.</summary>
    public void Forget(Message message)
    {
        if (message.Destination.Spread is not { } spread)
        {
            if (!message.Destination.IsDirect) Groups.Find(message.Destination.Group)!.Pending--;
            return;
        }
        Spread.Forget(message);
        foreach (DestinationPart part in spread.Parts)
        {
            if (IsEntered(part, out GroupOrder? group)) group.Pending--;
        }
    }

    public bool IsEntered(DestinationPart part, [NotNullWhen(true)] out GroupOrder? group)
    {
        group = null;
        return part.Via.Contains(self) && Groups.TryGet(part.Group, out group) && group.Epoch == part.Epoch;
    }

    /// <summary>Whether nothing that is here, of this epoch of the group, waits: also not what this node gets as a single process, or by another group.</summary>
    public bool HasDelivered(GroupOrder group) => group.Pending == 0 && HasDeliveredSpread(group.Id, group.Epoch);

    /// <summary>The same of what goes to more than one group, also for a group in which this node is not.</summary>
    public bool HasDeliveredSpread(GroupId group, long epoch)
    {
        foreach (Message message in Spread.Undelivered)
        {
            if (message.Destination.Spread!.Concerns(group, epoch)) return false;
        }
        return true;
    }

    /// <summary>An idle group holds no queue; the next group to need one takes the last one's.</summary>
    public void DropEmptyTotals()
    {
        for (int i = WithTotals.Count - 1; i >= 0; i--)
        {
            if (WithTotals[i].Totals is not { Count: 0 } empty) continue;
            if (empty.IsSmall) _spareTotals = empty;
            WithTotals[i].Totals = null;
            WithTotals.RemoveAt(i);
        }
    }

    /// <summary>All that are here, with the messages of open GBCASTs.</summary>
    public HashSet<Message> All()
    {
        var all = new HashSet<Message>();
        foreach (StreamProgress stream in Streams) all.UnionWith(stream.Waiting!);
        foreach (GroupOrder group in WithTotals) all.UnionWith(group.Totals!.Messages);
        foreach (GroupOrder group in Groups)
        {
            all.UnionWith(group.OpenMessages ?? []);
            all.UnionWith(group.Casts ?? []);
            all.UnionWith(group.Future ?? []);
        }
        foreach (TotalQueue domain in Spread.Domains) all.UnionWith(domain.Messages);
        foreach (List<Message> orphans in _orphans.Values) all.UnionWith(orphans);
        return all;
    }

    public void Remove(HashSet<Message> lost)
    {
        foreach (StreamProgress stream in Streams)
        {
            var kept = new Queue<Message>();
            foreach (Message message in stream.Waiting!)
            {
                if (!lost.Contains(message)) kept.Enqueue(message);
            }
            foreach (Message message in stream.Waiting)
            {
                if (!lost.Contains(message)) continue;
                if (message.Kind == MessageKind.Fifo) _waitingFifos--;
                Forget(message);
            }
            stream.Waiting = kept;
        }
        foreach (GroupOrder group in WithTotals)
        {
            group.Pending -= group.Totals!.Messages.Count(m => lost.Contains(m) && m.Destination.Spread is null);
            group.Totals = group.Totals.Without(lost);
        }
        foreach (TotalQueue domain in Spread.Domains)
        {
            foreach (Message message in domain.Messages.Where(lost.Contains).ToArray()) Forget(message);
        }
        Spread.Remove(lost);
        DropEmptyTotals();
        Streams.RemoveAll(static s => s.Waiting!.Count == 0);
        foreach (GroupOrder group in Groups)
        {
            group.Future?.RemoveAll(lost.Contains);
            group.Casts?.RemoveAll(lost.Contains);
        }
        foreach (List<Message> orphans in _orphans.Values) orphans.RemoveAll(lost.Contains);
    }
}

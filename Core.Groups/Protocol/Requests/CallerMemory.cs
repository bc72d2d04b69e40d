// What the members of a group remember of callers that are not members: which of their messages they have delivered.
// Keeps: a message that was sent again is delivered once. All members with the state decide alike: a caller sends again
// only after a configuration, before which all of them delivered the same. It is part of the group's state.
// Follows: protocol.md section 7. Deviation: forgotten not after a time but with the caller, which members see alike.
using Core.Groups.Protocol.Ordering;
using Core.Groups.Wire;

namespace Core.Groups.Protocol.Requests;

internal sealed class CallerMemory
{
    private readonly SortedDictionary<NodeId, Delivered> _callers = [];

    /// <summary>The numbers of one caller that were delivered, or will never be sent: all up to a floor, and some above it.</summary>
    private sealed class Delivered
    {
        public long Floor { get; set; }
        public SortedSet<long> Above { get; } = [];

        public void Raise(long floor)
        {
            Floor = Math.Max(Floor, floor);
            while (Above.Count > 0 && Above.Min <= Floor + 1)
            {
                Floor = Math.Max(Floor, Above.Min);
                Above.Remove(Above.Min);
            }
        }
    }

    public int Count => _callers.Count;

    /// <summary>False: this message was delivered before.</summary>
    public bool TryRemember(CallerStamp stamp)
    {
        if (!_callers.TryGetValue(stamp.Caller, out Delivered? delivered)) _callers.Add(stamp.Caller, delivered = new Delivered());
        if (stamp.Sequence <= delivered.Floor || !delivered.Above.Add(stamp.Sequence)) return false;
        delivered.Raise(Math.Min(stamp.ConfirmedUpTo, stamp.Sequence - 1));
        return true;
    }

    /// <summary>Takes in what another side of the group has delivered.</summary>
    public void Unite(CallerMemory other)
    {
        foreach ((NodeId caller, Delivered theirs) in other._callers)
        {
            if (!_callers.TryGetValue(caller, out Delivered? ours)) _callers.Add(caller, ours = new Delivered());
            ours.Above.UnionWith(theirs.Above);
            ours.Raise(theirs.Floor);
        }
    }

    /// <summary>A configuration is installed: a caller that is not in it comes back as another incarnation, if ever.</summary>
    public void Forget(Predicate<NodeId> isGone)
    {
        foreach (NodeId caller in _callers.Keys.Where(c => isGone(c)).ToArray()) _callers.Remove(caller);
    }

    public byte[] Write()
    {
        var writer = new WireWriter();
        writer.Varint(_callers.Count);
        foreach ((NodeId caller, Delivered delivered) in _callers)
        {
            writer.Node(caller);
            writer.Varint(delivered.Floor);
            writer.Varint(delivered.Above.Count);
            foreach (long sequence in delivered.Above) writer.Varint(sequence);
        }
        return writer.ToArray();
    }

    public static CallerMemory Read(ref WireReader reader)
    {
        var memory = new CallerMemory();
        for (int callers = reader.Count(4); callers > 0; callers--)
        {
            var delivered = new Delivered();
            memory._callers[reader.Node()] = delivered;
            delivered.Floor = reader.Varint();
            for (int left = reader.Count(); left > 0; left--) delivered.Above.Add(reader.Varint());
        }
        return memory;
    }
}

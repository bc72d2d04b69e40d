// Floors of a large group, gathered at its oldest member and told to all from there: about 3n frames for a message in place of n².
// Keeps: a gathered floor says "whatever total message a member sends later in this group has a higher timestamp", and it counts only
// where all messages are received that it covers: a floor means something by itself on its owner's own link alone.
// Follows: protocol.md section 4. One number stands for all members (the lowest of their floors); direct floors count beside it.
using Core.Groups.Wire;

namespace Core.Groups.Protocol.Ordering;

/// <summary>What the gatherer tells: every member of the group in this epoch has promised this floor.</summary>
/// <param name="Covered">The last total message, in the group in this epoch, of each sender of which there is one more than was told before.</param>
internal sealed record GatheredFloor(GroupId Group, long Epoch, long Floor, Dependency[] Covered)
{
    public void Write(WireWriter writer)
    {
        writer.Group(Group);
        writer.Varint(Epoch);
        writer.Varint(Floor);
        writer.Covered(Covered);
    }

    public static GatheredFloor Read(ref WireReader reader, int members)
    {
        GroupId group = reader.Group();
        long epoch = reader.Varint(), floor = reader.Varint();
        return new GatheredFloor(group, epoch, floor, reader.Covered(members));
    }
}

/// <summary>The last messages, of one sender each, that something covers which comes over another link.</summary>
internal static class CoveredFormat
{
    public static void Covered(this WireWriter writer, ReadOnlySpan<Dependency> covered)
    {
        writer.Varint(covered.Length);
        foreach (Dependency last in covered)
        {
            writer.Varint(last.Sender);
            writer.Varint(last.Sequence);
        }
    }

    public static Dependency[] Covered(this ref WireReader reader, int members)
    {
        var covered = new Dependency[reader.Count(2)];
        for (int i = 0; i < covered.Length; i++)
        {
            long sender = reader.Varint();
            if (sender >= members) throw new WireFormatException("A sender is covered that is not in the configuration.");
            covered[i] = new Dependency((int)sender, reader.Varint());
        }
        return covered;
    }
}

/// <summary>At the oldest member of one group, in one epoch: what is to be told.</summary>
internal sealed class FloorGatherer
{
    private readonly SortedDictionary<int, long> _news = [];
    private long _first = long.MaxValue, _last, _told;

    /// <summary>Whether a message is here that no floor covers which was told.</summary>
    public bool IsWanted => _first < long.MaxValue;

    /// <summary>A total message of this epoch is here.</summary>
    public void OnTotal(Message message)
    {
        _news[message.Sender] = message.Sequence;
        _last = Math.Max(_last, message.Timestamp);
        _first = Math.Min(_first, Math.Max(message.Timestamp, _told + 1));
    }

    /// <param name="floor">The lowest that the members have promised.</param>
    /// <returns>What is covered by telling it; null: it would let nothing through.</returns>
    public Dependency[]? Tell(long floor)
    {
        if (floor < _first) return null;
        Dependency[] covered = [.. _news.Select(static n => new Dependency(n.Key, n.Value))];
        _news.Clear();
        _told = floor;
        _first = _last > floor ? floor + 1 : long.MaxValue;
        return covered;
    }
}

/// <summary>At the other members of one group, in one epoch: what they were told.</summary>
internal sealed class GatheredFloors
{
    private readonly Queue<GatheredFloor> _waiting = new();
    private long _limit;

    public void Add(GatheredFloor told) => _waiting.Enqueue(told);

    /// <summary>The highest floor that was told and counts here.</summary>
    public long Limit(ReadOnlySpan<SenderLog> logs, WeakRules weak)
    {
        while (_waiting.TryPeek(out GatheredFloor? next) && (weak.Lacks(WeakRules.GatheredFloorsCountAtOnce) || HasAll(next, logs)))
        {
            _limit = Math.Max(_limit, next.Floor);
            _waiting.Dequeue();
        }
        return _limit;
    }

    private static bool HasAll(GatheredFloor told, ReadOnlySpan<SenderLog> logs)
    {
        foreach (Dependency last in told.Covered)
        {
            if (logs[last.Sender].Received < last.Sequence) return false;
        }
        return true;
    }
}

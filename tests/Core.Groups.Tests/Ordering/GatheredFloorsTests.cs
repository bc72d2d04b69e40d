using Core.Groups.Protocol;
using Core.Groups.Protocol.Ordering;
using Core.Groups.Wire;

namespace Core.Groups.Tests.Ordering;

/// <summary>Floors of large groups: what the gatherer tells, and from when on it counts at a member.</summary>
public sealed class GatheredFloorsTests
{
    private static readonly Destination To = new(new GroupId(1, 1), 0, MemberSet.Of([0, 1, 2]), MemberSet.Of([0, 1, 2]));

    [Fact]
    public void A_floor_is_told_when_it_lets_a_message_through_with_the_last_message_of_each_sender_that_has_a_new_one()
    {
        var gatherer = new FloorGatherer();
        Assert.Null(gatherer.Tell(100)); // nobody waits for it
        gatherer.OnTotal(Total(sender: 2, sequence: 7, timestamp: 10));
        gatherer.OnTotal(Total(sender: 1, sequence: 3, timestamp: 12));
        gatherer.OnTotal(Total(sender: 2, sequence: 9, timestamp: 15));
        Assert.Null(gatherer.Tell(9));
        Assert.Equal([new Dependency(1, 3), new Dependency(2, 9)], gatherer.Tell(11)!);
        Assert.True(gatherer.IsWanted); // two are above it
        Assert.Null(gatherer.Tell(11));
        Assert.Empty(gatherer.Tell(15)!);
        Assert.False(gatherer.IsWanted);
    }

    [Fact]
    public void A_told_floor_counts_when_everything_is_received_that_it_covers()
    {
        SenderLog[] logs = [new(), new(), new()];
        var floors = new GatheredFloors();
        Assert.Equal(0, floors.Limit(logs, WeakRules.None));
        floors.Add(Told(floor: 11, new Dependency(1, 3)));
        floors.Add(Told(floor: 20));
        Assert.Equal(0, floors.Limit(logs, WeakRules.None));
        logs[1].Append(Total(sender: 1, sequence: 2, timestamp: 5));
        Assert.Equal(0, floors.Limit(logs, WeakRules.None));
        logs[1].Append(Total(sender: 1, sequence: 3, timestamp: 9));
        Assert.Equal(20, floors.Limit(logs, WeakRules.None));
    }

    [Fact]
    public void What_was_written_is_read_and_a_sender_outside_the_configuration_is_refused()
    {
        GatheredFloor told = Told(floor: 300, new Dependency(0, 1), new Dependency(2, 1L << 40));
        var writer = new WireWriter();
        told.Write(writer);
        var reader = new WireReader(writer.ToArray());
        GatheredFloor read = GatheredFloor.Read(ref reader, members: 3);
        Assert.Equal((told.Group, told.Epoch, told.Floor), (read.Group, read.Epoch, read.Floor));
        Assert.Equal(told.Covered, read.Covered);
        Assert.Throws<WireFormatException>(() =>
        {
            var again = new WireReader(writer.ToArray());
            GatheredFloor.Read(ref again, members: 2);
        });
    }

    private static GatheredFloor Told(long floor, params Dependency[] covered) => new(To.Group, 4, floor, covered);

    private static Message Total(int sender, long sequence, long timestamp) =>
        new() { Sender = sender, Sequence = sequence, Kind = MessageKind.Total, Destination = To, Timestamp = timestamp };
}

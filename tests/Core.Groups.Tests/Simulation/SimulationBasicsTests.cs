// The small parts of the simulated world: chance, time, the state of the scripted application.
using Core.Groups.Protocol;
using Core.Groups.Testing.Simulation;

namespace Core.Groups.Tests.Simulation;

public sealed class SimulationBasicsTests
{
    [Fact]
    public void ASeedGivesTheSameNumbersForEver()
    {
        // The numbers of xoshiro256** for a state filled by splitmix64 from 1: a change here makes every recorded seed worthless.
        SimulationRandom random = new(1);
        Assert.Equal([0xB3F2AF6D0FC710C5UL, 0x853B559647364CEAUL, 0x92F89756082A4514UL], [random.NextULong(), random.NextULong(), random.NextULong()]);
    }

    [Fact]
    public void NumbersStayWithinTheirBounds()
    {
        SimulationRandom random = new(2);
        int[] drawn = [.. Enumerable.Range(0, 1000).Select(_ => random.Between(3, 5))];
        Assert.Equal([3, 4, 5], drawn.Distinct().Order());
        for (int i = 0; i < 1000; i++) Assert.InRange(random.Between(TimeSpan.Zero, TimeSpan.FromTicks(2)).Ticks, 0, 2);
    }

    [Fact]
    public void EventsOfOneInstantRunInTheOrderInWhichTheyWereScheduled()
    {
        VirtualTime time = new();
        List<int> ran = [];
        time.After(TimeSpan.FromSeconds(2), () => ran.Add(3));
        time.After(TimeSpan.FromSeconds(1), () => ran.Add(1));
        time.After(TimeSpan.FromSeconds(1), () => ran.Add(2));
        while (time.RunNext(TimeSpan.FromSeconds(5))) { }
        Assert.Equal([1, 2, 3], ran);
        Assert.Equal(TimeSpan.FromSeconds(5), time.Now);
    }

    [Fact]
    public void AnEventInThePastRunsNow()
    {
        VirtualTime time = new();
        time.RunNext(TimeSpan.FromSeconds(1));
        time.At(TimeSpan.Zero, () => { });
        Assert.True(time.RunNext(TimeSpan.FromSeconds(1)));
        Assert.Equal(TimeSpan.FromSeconds(1), time.Now);
    }

    [Fact]
    public void ATransferredStateEqualsTheDonors()
    {
        GroupReplica donor = Replica((1, Order.Total), (2, Order.Causal), (3, Order.Safe)), joiner = Replica();
        Assert.True(joiner.TryLoad(donor.Save(ballast: 1000)));
        Assert.Null(joiner.DifferenceTo(donor));
    }

    [Fact]
    public void ADamagedStateIsNoticed()
    {
        byte[] state = Replica((1, Order.Total)).Save(ballast: 300);
        Assert.False(Replica().TryLoad(state.AsMemory(..^1)));
        Assert.False(Replica().TryLoad(ReadOnlyMemory<byte>.Empty));
        state[^7] ^= 1;
        Assert.False(Replica().TryLoad(state));
    }

    [Fact]
    public void TheOrderOfTotallyOrderedMessagesCountsAndThatOfOthersDoesNot()
    {
        Assert.NotNull(Replica((1, Order.Total), (2, Order.CausalTotal)).DifferenceTo(Replica((2, Order.CausalTotal), (1, Order.Total))));
        Assert.Null(Replica((1, Order.Fifo), (2, Order.Causal)).DifferenceTo(Replica((2, Order.Causal), (1, Order.Fifo))));
    }

    [Theory]
    [InlineData(Order.Reliable), InlineData(Order.Total)]
    public void AMissingMessageIsADifferenceFromBothSides(Order order)
    {
        GroupReplica with = Replica((1, order)), without = Replica();
        Assert.Contains("too much", with.DifferenceTo(without));
        Assert.Contains("lacks", without.DifferenceTo(with));
    }

    [Fact]
    public void AMessageIsAppliedOnce()
    {
        GroupReplica replica = Replica((1, Order.Fifo));
        Assert.False(replica.Apply(DeliveryOf(2, Order.Fifo), marker: 1));
    }

    [Theory]
    [InlineData(0), InlineData(100_000)]
    public void ABodyShowsDamage(int size)
    {
        byte[] body = MessageBody.Make(77, hops: 2, mayIgnore: true, size);
        Assert.True(MessageBody.TryRead(body, out ulong marker, out int hops, out bool mayIgnore));
        Assert.Equal((77UL, 2, true), (marker, hops, mayIgnore));
        Assert.False(MessageBody.TryRead(body.AsSpan(0, 9), out _, out _, out _));
        if (size == 0) return;
        body[size / 2] ^= 0x10;
        Assert.False(MessageBody.TryRead(body, out _, out _, out _));
    }

    [Fact]
    public void AFlushedMessageMustBeInEveryState()
    {
        DurableMessages durable = new();
        Dictionary<MessageId, SentMessage> messages = [];
        for (ulong marker = 1; marker <= 2; marker++)
            messages.Add(DeliveryOf((int)marker, Order.Fifo).Message, new SentMessage(marker, new NodeId("a", 1), "/g", Order.Fifo, 0));
        durable.BeginGroup(new GroupId(1, 1));
        durable.Promise(new GroupId(1, 1), [1, 2], [new NodeId("a", 1)]);
        Assert.Empty(durable.LackingIn(Replica((1, Order.Fifo), (2, Order.Fifo)), messages, _ => true));
        Assert.Equal([2UL], durable.LackingIn(Replica((1, Order.Fifo)), messages, _ => true));
        Assert.Empty(durable.LackingIn(Replica((1, Order.Fifo)), messages, _ => false));
        durable.BeginGroup(new GroupId(1, 1));
        Assert.Empty(durable.LackingIn(Replica(), messages, _ => true));
    }

    private static GroupReplica Replica(params (int Sequence, Order Order)[] messages)
    {
        GroupReplica replica = new(new GroupId(1, 1), "/g");
        foreach ((int sequence, Order order) in messages) replica.Apply(DeliveryOf(sequence, order), (ulong)sequence);
        return replica;
    }

    private static Delivery DeliveryOf(int sequence, Order order) => new()
    {
        Group = new GroupId(1, 1), From = new NodeId("a", 1), Order = order, Body = default,
        Message = new MessageId(new NodeId("a", 1), 1, sequence),
    };
}

// What members remember of callers: once is once, in whatever order messages come, here and after a state transfer.
using Core.Groups.Protocol.Ordering;
using Core.Groups.Protocol.Requests;
using Core.Groups.Wire;

namespace Core.Groups.Tests.Requests;

public sealed class CallerMemoryTests
{
    private static readonly NodeId Caller = new("caller", 1);
    private static readonly NodeId Client = new("client", 1);

    private static CallerStamp Stamp(NodeId caller, long sequence, long confirmedUpTo, bool byId = false) =>
        new(caller, new CallerSource(caller, byId, IsClient: false), sequence, confirmedUpTo);

    private static CallerStamp StampOfClient(NodeId server, long sequence, bool isOver = false) =>
        new(server, new CallerSource(Client, ById: false, IsClient: true), sequence, 0, isOver);

    private static bool Remembers(CallerMemory memory, CallerStamp stamp, long epoch = 1) => memory.TryRemember(stamp, epoch);

    [Fact]
    public void AMessageThatWasSentAgainIsKnown()
    {
        var memory = new CallerMemory();
        Assert.True(Remembers(memory, Stamp(Caller, 1, 0)));
        Assert.True(Remembers(memory, Stamp(Caller, 3, 0)));
        Assert.True(Remembers(memory, Stamp(Caller, 2, 0)));
        for (long sequence = 1; sequence <= 3; sequence++) Assert.False(Remembers(memory, Stamp(Caller, sequence, 0)));
        Assert.True(Remembers(memory, Stamp(Caller, 4, 0)));
    }

    [Fact]
    public void AnotherIncarnationIsAnotherCaller()
    {
        var memory = new CallerMemory();
        Assert.True(Remembers(memory, Stamp(Caller, 1, 0)));
        Assert.True(Remembers(memory, Stamp(Caller with { Incarnation = 2 }, 1, 0)));
    }

    [Fact]
    public void WhatIsConfirmedNeedsNoRoom()
    {
        CallerMemory withHoles = new(), without = new();
        for (long sequence = 2; sequence <= 2000; sequence += 2) Assert.True(Remembers(withHoles, Stamp(Caller, sequence, sequence - 1)));
        for (long sequence = 1; sequence <= 2000; sequence++) Assert.True(Remembers(without, Stamp(Caller, sequence, 0)));
        Assert.InRange(withHoles.Write().Length, 1, 20);
        Assert.InRange(without.Write().Length, 1, 20);
    }

    [Fact]
    public void MembersThatDeliverInAnotherOrderRememberTheSame()
    {
        CallerStamp[] stamps = [Stamp(Caller, 5, 3), Stamp(Caller, 4, 2), Stamp(Caller, 8, 5), Stamp(Caller, 7, 3)];
        CallerMemory forwards = new(), backwards = new();
        foreach (CallerStamp stamp in stamps.OrderBy(s => s.Sequence)) Assert.True(Remembers(forwards, stamp));
        foreach (CallerStamp stamp in stamps.OrderBy(s => s.ConfirmedUpTo).ThenByDescending(s => s.Sequence)) Assert.True(Remembers(backwards, stamp));
        Assert.Equal(forwards.Write(), backwards.Write());
    }

    [Fact]
    public void AJoinerRemembersWhatItsDonorDid()
    {
        CallerMemory donor = new();
        foreach (long sequence in (long[])[1, 2, 5, 9]) Assert.True(Remembers(donor, Stamp(Caller, sequence, 0)));
        var reader = new WireReader(donor.Write());
        CallerMemory joiner = CallerMemory.Read(ref reader);
        foreach (long sequence in (long[])[1, 2, 5, 9]) Assert.False(Remembers(joiner, Stamp(Caller, sequence, 0)));
        Assert.True(Remembers(joiner, Stamp(Caller, 3, 0)));
    }

    [Fact]
    public void ACallerThatIsGoneIsForgotten()
    {
        CallerMemory memory = new();
        NodeId other = new("other", 1);
        Assert.True(Remembers(memory, Stamp(Caller, 1, 0)));
        Assert.True(Remembers(memory, Stamp(other, 1, 0)));
        memory.Forget(caller => caller == Caller, epoch: 2);
        Assert.Equal(1, memory.Count);
        Assert.False(Remembers(memory, Stamp(other, 1, 0)));
    }

    [Fact]
    public void CallsByNameAndByIdHaveNumbersOfTheirOwn()
    {
        CallerMemory memory = new();
        Assert.True(Remembers(memory, Stamp(Caller, 1, 0)));
        Assert.True(Remembers(memory, Stamp(Caller, 1, 0, byId: true)));
    }

    [Fact]
    public void AClientIsRememberedWhileItMayComeThroughAnotherNode()
    {
        CallerMemory memory = new();
        NodeId other = new("other", 1);
        Assert.True(Remembers(memory, StampOfClient(Caller, 1), epoch: 7));
        memory.Forget(node => node == Caller, 7 + CallerMemory.EpochsRemembered);
        Assert.False(Remembers(memory, StampOfClient(other, 1)));
        memory.Forget(_ => false, 2000);      // the node that serves it lives
        memory.Forget(node => node == Caller, 2000 + CallerMemory.EpochsRemembered);
        Assert.Equal(1, memory.Count);
        memory.Forget(node => node == Caller, 2001 + CallerMemory.EpochsRemembered);
        Assert.Equal(0, memory.Count);
    }

    [Fact]
    public void AClientThatIsOverIsForgottenAtOnce()
    {
        CallerMemory memory = new();
        Assert.True(Remembers(memory, StampOfClient(Caller, 1)));
        Assert.False(Remembers(memory, StampOfClient(Caller, 2, isOver: true)));
        Assert.Equal(0, memory.Count);
    }

    [Fact]
    public void BytesThatAreNoMemoryAreRefused()
    {
        CallerMemory memory = new();
        for (long sequence = 1; sequence <= 9; sequence += 2) Assert.True(Remembers(memory, Stamp(Caller, sequence, 0)));
        byte[] bytes = memory.Write();
        for (int length = 0; length < bytes.Length; length++)
        {
            byte[] cut = bytes[..length];
            Assert.Throws<WireFormatException>(() =>
            {
                var reader = new WireReader(cut);
                CallerMemory.Read(ref reader);
            });
        }
    }
}

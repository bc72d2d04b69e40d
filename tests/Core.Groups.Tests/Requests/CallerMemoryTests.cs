// What members remember of callers: once is once, in whatever order messages come, here and after a state transfer.
using Core.Groups.Protocol.Ordering;
using Core.Groups.Protocol.Requests;
using Core.Groups.Wire;

namespace Core.Groups.Tests.Requests;

public sealed class CallerMemoryTests
{
    private static readonly NodeId Caller = new("caller", 1);

    [Fact]
    public void AMessageThatWasSentAgainIsKnown()
    {
        var memory = new CallerMemory();
        Assert.True(memory.TryRemember(new CallerStamp(Caller, 1, 0)));
        Assert.True(memory.TryRemember(new CallerStamp(Caller, 3, 0)));
        Assert.True(memory.TryRemember(new CallerStamp(Caller, 2, 0)));
        for (long sequence = 1; sequence <= 3; sequence++) Assert.False(memory.TryRemember(new CallerStamp(Caller, sequence, 0)));
        Assert.True(memory.TryRemember(new CallerStamp(Caller, 4, 0)));
    }

    [Fact]
    public void AnotherIncarnationIsAnotherCaller()
    {
        var memory = new CallerMemory();
        Assert.True(memory.TryRemember(new CallerStamp(Caller, 1, 0)));
        Assert.True(memory.TryRemember(new CallerStamp(Caller with { Incarnation = 2 }, 1, 0)));
    }

    [Fact]
    public void WhatIsConfirmedNeedsNoRoom()
    {
        CallerMemory withHoles = new(), without = new();
        for (long sequence = 2; sequence <= 2000; sequence += 2) Assert.True(withHoles.TryRemember(new CallerStamp(Caller, sequence, sequence - 1)));
        for (long sequence = 1; sequence <= 2000; sequence++) Assert.True(without.TryRemember(new CallerStamp(Caller, sequence, 0)));
        Assert.InRange(withHoles.Write().Length, 1, 20);
        Assert.InRange(without.Write().Length, 1, 20);
    }

    [Fact]
    public void MembersThatDeliverInAnotherOrderRememberTheSame()
    {
        CallerStamp[] stamps = [new(Caller, 5, 3), new(Caller, 4, 2), new(Caller, 8, 5), new(Caller, 7, 3)];
        CallerMemory forwards = new(), backwards = new();
        foreach (CallerStamp stamp in stamps.OrderBy(s => s.Sequence)) Assert.True(forwards.TryRemember(stamp));
        foreach (CallerStamp stamp in stamps.OrderBy(s => s.ConfirmedUpTo).ThenByDescending(s => s.Sequence)) Assert.True(backwards.TryRemember(stamp));
        Assert.Equal(forwards.Write(), backwards.Write());
    }

    [Fact]
    public void AJoinerRemembersWhatItsDonorDid()
    {
        CallerMemory donor = new();
        foreach (long sequence in (long[])[1, 2, 5, 9]) Assert.True(donor.TryRemember(new CallerStamp(Caller, sequence, 0)));
        var reader = new WireReader(donor.Write());
        CallerMemory joiner = CallerMemory.Read(ref reader);
        foreach (long sequence in (long[])[1, 2, 5, 9]) Assert.False(joiner.TryRemember(new CallerStamp(Caller, sequence, 0)));
        Assert.True(joiner.TryRemember(new CallerStamp(Caller, 3, 0)));
    }

    [Fact]
    public void ACallerThatIsGoneIsForgotten()
    {
        CallerMemory memory = new();
        NodeId other = new("other", 1);
        Assert.True(memory.TryRemember(new CallerStamp(Caller, 1, 0)));
        Assert.True(memory.TryRemember(new CallerStamp(other, 1, 0)));
        memory.Forget(caller => caller == Caller);
        Assert.Equal(1, memory.Count);
        Assert.False(memory.TryRemember(new CallerStamp(other, 1, 0)));
    }

    [Fact]
    public void BytesThatAreNoMemoryAreRefused()
    {
        CallerMemory memory = new();
        for (long sequence = 1; sequence <= 9; sequence += 2) Assert.True(memory.TryRemember(new CallerStamp(Caller, sequence, 0)));
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

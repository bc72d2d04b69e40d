// The checker of linearizability must pass what some order explains, and must find what none does.
using Core.Groups.Testing.Histories;

namespace Toolkit.Tests.Histories;

public sealed class LinearizabilityTests
{
    [Theory]
    [InlineData("a 0 10 w1; b 20 30 r1")]
    [InlineData("a 0 10 w1; b 5 30 r0; c 5 30 r1")]                   // overlapping reads may differ
    [InlineData("a 0 30 w1; b 5 10 r1; c 12 20 r1")]
    [InlineData("a 0 ? w1; b 5 10 r0; c 12 20 r1")]                   // a lost answer: the effect comes late
    [InlineData("a 0 ? w1; b 5 10 r0; c 12 20 r0")]                   // or never
    [InlineData("a 0 10 w1; b 0 10 w2; c 0 10 w3; d 11 12 r2; d 13 14 r2")]
    [InlineData("a 0 9 w1; b 0 ? w2; c 10 11 r1; c 12 13 r2; c 14 15 r2")]
    public void WhatAnOrderExplainsIsLinearizable(string history) => Assert.Null(LinearizabilityChecker.Check(new Register(), Parse(history)));

    [Theory]
    [InlineData("a 0 10 w1; b 20 30 r0")]                             // an answered write is not seen
    [InlineData("a 0 30 w1; b 5 10 r1; c 12 20 r0")]                  // a later read goes back
    [InlineData("a 0 10 w1; b 0 10 w2; c 11 12 r1; d 13 14 r2")]      // two orders of two writes
    [InlineData("b 5 10 r7")]                                         // a value from nowhere
    [InlineData("a 20 ? w1; b 5 10 r1")]                              // read before it was written
    public void WhatNoOrderExplainsIsFound(string history)
    {
        string? found = LinearizabilityChecker.Check(new Register(), Parse(history));
        Assert.StartsWith("no order of the calls explains the answer to ", found);
    }

    [Fact]
    public void ManyCallsAtOnceAreJudgedInReasonableTime()
    {
        // 16 clients, all overlapping in rounds: 16! orders each, but few different states.
        IEnumerable<TimedCall<(char, int)>> calls =
            from round in Enumerable.Range(0, 20)
            from client in Enumerable.Range(0, 16)
            select new TimedCall<(char, int)>($"c{client}", round * 10, (round * 10) + 9, ('w', client % 4));
        List<TimedCall<(char, int)>> history = [.. calls, new("r", 300, 301, ('r', 3))];
        Assert.Null(LinearizabilityChecker.Check(new Register(), history));
    }

    [Fact]
    public void ReadsCostNoSearch()
    {
        // 40 reads beside two writes: no order of the reads is tried.
        List<TimedCall<(char, int)>> reads = [.. Enumerable.Range(0, 40).Select(i => new TimedCall<(char, int)>($"r{i}", 0, 100, ('r', i % 3)))];
        List<TimedCall<(char, int)>> writes = [new("a", 0, 100, ('w', 1)), new("b", 0, 100, ('w', 2))];
        Assert.Null(LinearizabilityChecker.Check(new Register(), [.. reads, .. writes], mostStates: 10));
        Assert.NotNull(LinearizabilityChecker.Check(new Register(), [.. reads, .. writes, new("r", 0, 100, ('r', 7))], mostStates: 10));
    }

    [Fact]
    public void WhatIsNotDecidedIsNotPassed()
    {
        TimedCall<(char, int)>[] writes = [.. Enumerable.Range(0, 12).Select(i => new TimedCall<(char, int)>($"c{i}", 0, 100, ('w', i)))];
        Assert.StartsWith("undecided", LinearizabilityChecker.Check(new Register(), [.. writes, new("r", 101, 102, ('r', 99))], mostStates: 100));
        Assert.StartsWith("no order", LinearizabilityChecker.Check(new Register(), [.. writes, new("r", 101, 102, ('r', 99))]));
    }

    private static List<TimedCall<(char, int)>> Parse(string history) =>
    [
        .. from line in history.Split("; ")
           let words = line.Split(' ')
           select new TimedCall<(char, int)>(
               words[0], long.Parse(words[1]), words[2] == "?" ? TimedCall<(char, int)>.NeverAnswered : long.Parse(words[2]), (words[3][0], words[3][1] - '0')),
    ];

    private sealed class Register : ISequentialModel<int, (char Kind, int Value)>
    {
        public int Initial => 0;

        public bool TryStep(int state, (char Kind, int Value) call, bool answered, out int next)
        {
            next = call.Kind == 'w' ? call.Value : state;
            return call.Kind == 'w' || !answered || call.Value == state;
        }
    }
}

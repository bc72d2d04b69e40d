using Core.Groups.Hosting;
using Core.Groups.Protocol;

namespace Core.Groups.Tests.Hosting;

public sealed class PendingCallsTests
{
    private readonly PendingCalls _calls = new();

    [Theory]
    [InlineData(Outcome.Timeout, typeof(TimeoutException))]
    [InlineData(Outcome.NotMember, typeof(NotMemberException))]
    [InlineData(Outcome.AlreadyMember, typeof(AlreadyMemberException))]
    [InlineData(Outcome.NoSuchGroup, typeof(GroupNotFoundException))]
    [InlineData(Outcome.Excluded, typeof(ExcludedException))]
    [InlineData(Outcome.Stopped, typeof(NodeStoppedException))]
    [InlineData(Outcome.StateTransferFailed, typeof(StateTransferException))]
    [InlineData(Outcome.TooLarge, typeof(InvalidOperationException))]
    [InlineData(Outcome.Cancelled, typeof(TaskCanceledException))]
    internal async Task Outcomes_become_errors_that_name_the_group(Outcome outcome, Type error)
    {
        PendingCall call = _calls.Add(0, "/g");
        call.End(CallResult.Of(outcome));
        Exception thrown = await Assert.ThrowsAsync(error, () => call.Task);
        Assert.True(thrown is GroupException or OperationCanceledException || thrown.Message.Contains("/g"));
    }

    [Fact]
    public async Task An_exclusion_ends_the_calls_of_its_incarnation_only()
    {
        PendingCall old = _calls.Add(0, "/g");
        PendingCall next = _calls.Add(1, "/g");
        _calls.EndGeneration(0, () => new ExcludedException("test", true));
        Assert.True((await Assert.ThrowsAsync<ExcludedException>(() => old.Task)).OutcomeUnknown);
        Assert.Null(_calls.Take(old.Number));
        Assert.False(next.Task.IsCompleted);
        Assert.Null(_calls.Take(next.Number, generation: 0));
        Assert.Same(next, _calls.Take(next.Number, generation: 1));
    }

    [Fact]
    public async Task The_end_of_the_node_ends_all_calls_and_refuses_new_ones()
    {
        PendingCall call = _calls.Add(0, "/g");
        _calls.Close(() => new NodeStoppedException(true), () => new NodeStoppedException(false));
        Assert.True((await Assert.ThrowsAsync<NodeStoppedException>(() => call.Task)).OutcomeUnknown);
        Assert.False(Assert.Throws<NodeStoppedException>(() => _calls.Add(0, "/g")).OutcomeUnknown);
    }

    [Fact]
    public void Typed_replies_keep_errors_apart_from_answers()
    {
        var from = new NodeId("b", 1);
        var result = new CallResult(Outcome.Done, [new(from, "5"u8.ToArray(), false), new(from, "no"u8.ToArray(), true), new(from, "x"u8.ToArray(), false)], [new NodeId("c", 1)]);
        GroupReplies<int> replies = result.ToReplies<int>(new JsonPayloadSerializer());
        Assert.Equal(5, replies.Answers[0].Value);
        Assert.False(replies.Answers[0].IsError);
        Assert.Equal("no", replies.Answers[1].Error);
        Assert.True(replies.Answers[2].IsError);
        Assert.Equal("c", Assert.Single(replies.Failed).Name);
    }
}

using Core.Groups.Hosting;

namespace Core.Groups.Tests.Hosting;

public sealed class CreditGateTests
{
    private const int Window = 1000;
    private const int Overhead = CreditGate<int>.MessageOverhead;

    private sealed class Posted : IInputs<int>
    {
        public List<int> Inputs { get; } = [];
        public void Post(in int input, bool schedule = true) => Inputs.Add(input);
    }

    private readonly Posted _posted = new();
    private readonly CreditGate<int> _gate;

    public CreditGateTests() => _gate = new CreditGate<int>("/g", Window, _posted);

    private Task Pass(int input, int bytes = 400, bool inside = false, CancellationToken ct = default) =>
        _gate.PassAsync(input, bytes - Overhead, inside, ct).AsTask();

    [Fact]
    public async Task Waits_when_the_window_is_full_and_goes_on_in_order()
    {
        Assert.True(Pass(1).IsCompletedSuccessfully);
        Assert.True(Pass(2).IsCompletedSuccessfully);
        Task third = Pass(3);
        Task fourth = Pass(4, bytes: 100); // would fit, but does not overtake
        Assert.False(third.IsCompleted);
        Assert.False(fourth.IsCompleted);
        _gate.Release(400);
        await third;
        await fourth;
        Assert.Equal([1, 2, 3, 4], _posted.Inputs);
        Assert.Equal(900, _gate.UnderWay);
    }

    [Fact]
    public void One_message_larger_than_the_window_goes_alone()
    {
        Assert.True(Pass(1, bytes: 5000).IsCompletedSuccessfully);
        Task second = Pass(2, bytes: 100);
        Assert.False(second.IsCompleted);
        _gate.Release(5000);
        Assert.Equal([1, 2], _posted.Inputs);
    }

    [Fact]
    public async Task A_cancelled_wait_leaves_nothing_behind()
    {
        using var cancel = new CancellationTokenSource();
        _ = Pass(1, bytes: 900);
        Task second = Pass(2, bytes: 900, ct: cancel.Token);
        Task third = Pass(3, bytes: 100);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => second);
        await third; // what was in its way is gone
        Assert.Equal([1, 3], _posted.Inputs);
        _gate.Release(1000);
        Assert.Equal(0, _gate.UnderWay);
    }

    [Fact]
    public async Task A_token_that_is_cancelled_before_sends_nothing()
    {
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Pass(1, ct: new CancellationToken(true)));
        Assert.Empty(_posted.Inputs);
    }

    [Fact]
    public async Task A_handler_overdraws_up_to_twice_the_window()
    {
        for (int i = 1; i <= 5; i++)
        {
            Assert.True(Pass(i, inside: true).IsCompletedSuccessfully);
        }

        await Assert.ThrowsAsync<OverdraftException>(() => Pass(6, inside: true));
        Assert.Equal(5, _posted.Inputs.Count);
        _gate.Release(400);
        Assert.True(Pass(7, inside: true).IsCompletedSuccessfully);
    }

    [Fact]
    public async Task The_end_of_the_membership_ends_the_waits()
    {
        _ = Pass(1, bytes: 1000);
        Task second = Pass(2);
        _gate.Close(() => new NotMemberException("/g"));
        await Assert.ThrowsAsync<NotMemberException>(() => second);
        await Assert.ThrowsAsync<NotMemberException>(() => Pass(3));
        _gate.Open();
        Assert.True(Pass(4).IsCompletedSuccessfully);
        Assert.Equal([1, 4], _posted.Inputs);
    }

    [Fact]
    public async Task Many_senders_share_the_window_and_none_is_forgotten()
    {
        int under = 0;
        int most = 0;
        var posted = new Counting(() => most = Math.Max(most, Interlocked.Increment(ref under)));
        var gate = new CreditGate<int>("/g", Window, posted);
        Task[] senders = [.. Enumerable.Range(0, 8).Select(sender => Task.Run(async () =>
        {
            for (int i = 0; i < 2000; i++)
            {
                await gate.PassAsync(i, 100 - Overhead, insideHandler: false, default);
                _ = Task.Run(() =>
                {
                    Interlocked.Decrement(ref under);
                    gate.Release(100);
                });
            }
        }))];
        await Task.WhenAll(senders).WaitAsync(TimeSpan.FromSeconds(30));
        Assert.Equal(16_000, posted.Count);
        Assert.InRange(most, 1, 10);
    }

    private sealed class Counting(Action onPost) : IInputs<int>
    {
        public int Count { get; private set; }

        public void Post(in int input, bool schedule = true)
        {
            Count++;
            lock (onPost)
            {
                onPost();
            }
        }
    }
}

using GroupShell;

namespace Core.Groups.Tests.Samples;

public sealed class ShellLaneTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    [Fact]
    public async Task Turns_come_in_the_order_in_which_they_were_asked_for()
    {
        var lane = new GroupLane("/g");
        GroupLane.Turn first = await lane.TakeTurnAsync(CancellationToken.None);
        Task<GroupLane.Turn> second = lane.TakeTurnAsync(CancellationToken.None).AsTask();
        Task<GroupLane.Turn> third = lane.TakeTurnAsync(CancellationToken.None).AsTask();
        Assert.False(second.IsCompleted);

        first.Dispose();
        GroupLane.Turn turn = await second.WaitAsync(Patience);
        Assert.False(third.IsCompleted);
        turn.Dispose();
        (await third.WaitAsync(Patience)).Dispose();
    }

    [Fact]
    public async Task Who_gives_up_waiting_lets_nobody_overtake()
    {
        var lane = new GroupLane("/g");
        GroupLane.Turn first = await lane.TakeTurnAsync(CancellationToken.None);
        using var limit = new CancellationTokenSource();
        Task<GroupLane.Turn> second = lane.TakeTurnAsync(limit.Token).AsTask();
        Task<GroupLane.Turn> third = lane.TakeTurnAsync(CancellationToken.None).AsTask();

        await limit.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => second);
        Assert.False(third.IsCompleted);

        first.Dispose();
        (await third.WaitAsync(Patience)).Dispose();
    }

    [Fact]
    public async Task The_window_bounds_what_is_under_way_but_lets_a_large_message_go_alone()
    {
        var window = new SendWindow();
        await window.EnterAsync(100 << 20, CancellationToken.None);
        Task next = window.EnterAsync(1, CancellationToken.None).AsTask();
        Assert.False(next.IsCompleted);
        window.Leave(100 << 20);
        await next.WaitAsync(Patience);

        using var limit = new CancellationTokenSource();
        Task waiting = window.EnterAsync(100 << 20, limit.Token).AsTask();
        await limit.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
        await window.EnterAsync(1, CancellationToken.None); // the one that gave up holds no room
    }
}

using Core.Groups.Hosting;

namespace Core.Groups.Tests.Hosting;

public sealed class BroadcastTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    [Fact]
    public async Task A_reader_sees_the_present_state_then_every_later_one_then_the_end()
    {
        var broadcast = new Broadcast<string>();
        Assert.Null(broadcast.Present);
        broadcast.Publish("old");
        broadcast.Publish("present");
        await using IAsyncEnumerator<string> reader = broadcast.ReadAsync(default).GetAsyncEnumerator();
        Assert.True(await reader.MoveNextAsync());
        Assert.Equal("present", reader.Current);
        broadcast.Publish("next");
        broadcast.Publish("last");
        broadcast.Complete();
        var rest = new List<string>();
        while (await reader.MoveNextAsync().AsTask().WaitAsync(Patience))
        {
            rest.Add(reader.Current);
        }

        Assert.Equal(["next", "last"], rest);
    }

    [Fact]
    public async Task A_reader_before_the_first_state_waits_and_can_be_cancelled()
    {
        var broadcast = new Broadcast<string>();
        using var cancel = new CancellationTokenSource();
        await using IAsyncEnumerator<string> reader = broadcast.ReadAsync(cancel.Token).GetAsyncEnumerator();
        Task<bool> first = reader.MoveNextAsync().AsTask();
        Assert.False(first.IsCompleted);
        broadcast.Publish("first");
        Assert.True(await first.WaitAsync(Patience));
        Task<bool> second = reader.MoveNextAsync().AsTask();
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => second.WaitAsync(Patience));
    }
}

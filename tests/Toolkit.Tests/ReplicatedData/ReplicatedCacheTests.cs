// The replicated cache behaves as ASP.NET Core expects of an IDistributedCache, at the node that sets and at another one.
using System.Buffers;
using System.Text;
using Core.Groups;
using Microsoft.Extensions.Caching.Distributed;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using Samples.Shared;
using Toolkit.ReplicatedData.Caching;

namespace Toolkit.Tests.ReplicatedData;

public sealed class ReplicatedCacheTests : IAsyncLifetime
{
    private const int Limit = 120_000; // milliseconds: a test that hangs is a test that failed

    private static readonly byte[] Value = [1, 2, 3];
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);

    private readonly ManualTime _time = new();
    private RealNodes _nodes = null!;
    private ReplicatedCache _cache = null!;
    private ReplicatedCache _other = null!;

    public async Task InitializeAsync()
    {
        _nodes = await RealNodes.StartAsync(2);
        _cache = await OpenAsync(_nodes[0]);
        _other = await OpenAsync(_nodes[1]);
    }

    public async Task DisposeAsync()
    {
        await _cache.DisposeAsync();
        await _other.DisposeAsync();
        await _nodes.DisposeAsync();
    }

    [Fact(Timeout = Limit)]
    public async Task What_is_set_is_got_overwritten_and_removed_at_all_nodes()
    {
        Assert.Null(_cache.Get("key"));
        Assert.Null(await _cache.GetAsync("key"));
        await _cache.SetAsync("key", Value);
        Assert.Equal(Value, _cache.Get("key"));
        await _other.CatchUpAsync();
        Assert.Equal(Value, await _other.GetAsync("key"));
        Assert.Null(_cache.Get("KEY"));
        await _other.SetAsync("key", []);
        Assert.Empty(_other.Get("key")!);
        await _other.RemoveAsync("key");
        Assert.Null(_other.Get("key"));
        await _other.RemoveAsync("key"); // is gone already
    }

    [Fact]
    public void The_synchronous_forms_do_the_same()
    {
        _cache.Set("key", Value);
        Assert.Equal(Value, _cache.Get("key"));
        _cache.SetString("text", "αβγ 🦆 x");
        Assert.Equal("αβγ 🦆 x", _cache.GetString("text"));
        _cache.Refresh("text");
        _cache.Remove("key");
        Assert.Null(_cache.Get("key"));
    }

    [Fact(Timeout = Limit)]
    public async Task Bytes_go_in_and_out_of_buffers()
    {
        ReadOnlySequence<byte> pieces = Sequence([1, 2], [3, 4, 5]);
        await _cache.SetAsync("key", pieces, new());
        var read = new ArrayBufferWriter<byte>();
        Assert.True(await _cache.TryGetAsync("key", read));
        Assert.Equal([1, 2, 3, 4, 5], read.WrittenSpan.ToArray());
        Assert.False(_cache.TryGet("none", read));
        _cache.Set("key", new ReadOnlySequence<byte>(Value), new());
        Assert.Equal(Value, _cache.Get("key"));
    }

    [Fact(Timeout = Limit)]
    public async Task What_the_caller_does_with_its_bytes_changes_nothing()
    {
        byte[] given = [1, 2, 3];
        await _cache.SetAsync("key", given, new());
        given[0] = 9;
        _cache.Get("key")![1] = 9;
        Assert.Equal(Value, _cache.Get("key"));
    }

    [Fact(Timeout = Limit)]
    public async Task Wrong_arguments_are_refused()
    {
        Assert.Throws<ArgumentNullException>(() => _cache.Get(null!));
        Assert.Throws<ArgumentNullException>(() => _cache.Refresh(null!));
        Assert.Throws<ArgumentNullException>(() => _cache.Set(null!, Value, new()));
        Assert.Throws<ArgumentNullException>(() => _cache.Set("key", (byte[])null!, new()));
        Assert.Throws<ArgumentNullException>(() => _cache.Set("key", Value, null!));
        Assert.Throws<ArgumentNullException>(() => _cache.Remove(null!));
        Assert.Throws<ArgumentOutOfRangeException>(() => _cache.Set("key", Value, new() { AbsoluteExpiration = _time.Now - Minute }));
        Assert.Throws<ArgumentException>(() => new ReplicatedCache(_nodes[0], new() { SweepInterval = TimeSpan.Zero }));
        using var cancelled = new CancellationTokenSource();
        await cancelled.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => _cache.SetAsync("key", Value, cancelled.Token));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => _cache.GetAsync("key", cancelled.Token));
    }

    [Fact(Timeout = Limit)]
    public async Task An_absolute_expiration_is_kept_whether_or_not_the_entry_is_used()
    {
        await _cache.SetAsync("at", Value, new() { AbsoluteExpiration = _time.Now + Minute });
        await _cache.SetAsync("after", Value, new() { AbsoluteExpirationRelativeToNow = Minute });
        await _other.CatchUpAsync();
        _time.Pass(Minute - TimeSpan.FromTicks(1));
        Assert.All(Everywhere("at", "after"), found => Assert.Equal(Value, found));
        _time.Pass(TimeSpan.FromTicks(1));
        Assert.All(Everywhere("at", "after"), Assert.Null);
    }

    [Fact(Timeout = Limit)]
    public async Task A_sliding_expiration_is_renewed_by_access_until_the_absolute_one()
    {
        await _cache.SetAsync("idle", Value, new() { SlidingExpiration = Minute });
        await _cache.SetAsync("used", Value, new() { SlidingExpiration = Minute, AbsoluteExpirationRelativeToNow = 4 * Minute });
        for (int i = 0; i < 7; i++)
        {
            _time.Pass(Minute / 2);
            Assert.Equal(Value, _cache.Get("used"));
            if (i == 1) Assert.Null(_cache.Get("idle"));
        }

        _time.Pass(Minute / 2);
        Assert.Null(_cache.Get("used"));
    }

    [Fact(Timeout = Limit)]
    public async Task An_access_at_one_node_counts_at_the_others()
    {
        await _cache.SetAsync("key", Value, new() { SlidingExpiration = Minute });
        await _other.CatchUpAsync();
        _time.Pass(Minute * 0.9);
        await _cache.RefreshAsync("key");
        await _cache.SetAsync("after", Value, new()); // who sees this has seen the access: causal order
        await _other.CatchUpAsync();
        _time.Pass(Minute * 0.9);
        Assert.Equal(Value, _other.Get("key"));
    }

    [Fact(Timeout = Limit)]
    public async Task An_access_to_what_was_overwritten_does_not_keep_what_is_there()
    {
        await _cache.SetAsync("key", Value, new() { SlidingExpiration = 10 * Minute });
        _time.Pass(5 * Minute);
        _cache.Refresh("key");
        _time.Pass(-4 * Minute); // a node whose clock is behind sets it anew
        await _cache.SetAsync("key", Value, new() { SlidingExpiration = Minute });
        _time.Pass(Minute);
        Assert.Null(_cache.Get("key"));
    }

    [Fact(Timeout = Limit)]
    public async Task Entries_without_an_expiration_have_the_usual_one()
    {
        await _cache.SetAsync("key", Value, new());
        _time.Pass(19 * Minute);
        Assert.Equal(Value, _cache.Get("key"));
        _time.Pass(20 * Minute);
        Assert.Null(_cache.Get("key"));
    }

    [Fact(Timeout = Limit)]
    public async Task The_oldest_node_removes_what_has_expired_and_nothing_else()
    {
        for (int i = 0; i < 200; i++) await _cache.SetAsync($"short {i}", Value, new() { SlidingExpiration = Minute });
        await _cache.SetAsync("long", Value, new() { AbsoluteExpirationRelativeToNow = 100 * Minute });
        _time.Pass(Minute / 2);
        _cache.Refresh("short 7");
        _time.Pass(Minute / 2);
        await _other.SweepAsync(); // is not the oldest one
        Assert.Equal(201, _cache.Held);
        await _cache.SweepAsync();
        Assert.Equal(2, _cache.Held); // "long", and the one that was used
        Assert.Equal(Value, _cache.Get("short 7"));
        _time.Pass(2 * Minute);
        await _cache.SweepAsync();
        Assert.Equal(1, _cache.Held);
        Assert.Equal(Value, _cache.Get("long"));
    }

    [Fact(Timeout = Limit)]
    public async Task A_node_that_joins_finds_all_and_goes_on_when_the_others_are_gone()
    {
        await _cache.SetAsync("key", Value, new() { SlidingExpiration = Minute });
        _time.Pass(Minute / 2);
        _cache.Refresh("key");
        await _other.DisposeAsync();
        await using ReplicatedCache late = await OpenAsync(_nodes[1]);
        await _cache.DisposeAsync();
        _time.Pass(Minute * 0.6); // more than the sliding time after it was set
        Assert.Equal(Value, late.Get("key"));
        await Assert.ThrowsAsync<ObjectDisposedException>(() => _cache.SetAsync("key", Value, new()));
    }

    [Fact(Timeout = Limit)]
    public async Task A_node_that_is_cut_off_reads_and_does_not_wait_for_ever()
    {
        await using RealNodes two = await RealNodes.StartAsync(2);
        var options = new ReplicatedCacheOptions { UpdateTimeout = TimeSpan.FromMilliseconds(200) };
        await using var cache = new ReplicatedCache(two[0], options);
        await using var other = new ReplicatedCache(two[1], new() { Name = options.Name, UpdateTimeout = RealNodes.Patience });
        await Task.WhenAll(cache.WhenOpenAsync(), other.WhenOpenAsync());
        await other.SetAsync("key", Value, new());
        await cache.CatchUpAsync();
        await using IAsyncDisposable frozen = await two.FreezeAsync(1);
        await Assert.ThrowsAsync<TimeoutException>(() => cache.SetAsync("key", [], new()));
        Assert.Throws<TimeoutException>(() => cache.Remove("key"));
        Assert.NotNull(cache.Get("key"));
    }

    [Fact(Timeout = Limit)]
    public async Task A_host_has_it_as_its_distributed_cache()
    {
        HostApplicationBuilder builder = Host.CreateApplicationBuilder();
        string address = FreeAddresses.Take(1)[0];
        builder.Services.AddProcessGroups(o => (o.Name, o.Listen, o.Seeds) = ("host", address, [address]));
        builder.Services.AddReplicatedCache(o => (o.Name, o.UpdateTimeout) = ("/sessions", RealNodes.Patience));
        using IHost host = builder.Build();
        await host.StartAsync();
        var cache = host.Services.GetRequiredService<IDistributedCache>();
        await cache.SetStringAsync("user", "ann");
        Assert.Equal("ann", await cache.GetStringAsync("user"));
        await host.StopAsync();

        HostApplicationBuilder wrong = Host.CreateApplicationBuilder();
        wrong.Services.AddProcessGroups(o => (o.Name, o.Listen, o.Seeds) = ("host", address, [address]));
        wrong.Services.AddReplicatedCache(o => o.UpdateTimeout = TimeSpan.Zero);
        using IHost broken = wrong.Build();
        OptionsValidationException error = await Assert.ThrowsAsync<OptionsValidationException>(() => broken.StartAsync());
        Assert.Contains("UpdateTimeout", error.Message);
    }

    [Fact]
    public void Foreign_bytes_are_an_entry_that_has_expired()
    {
        foreach (byte[] body in (byte[][])[[], [1], [2, .. new byte[40]]])
            Assert.True(CacheSerializer.Instance.Deserialize<CacheEntry>(body).IsExpired(0, 1));
        Assert.Equal(default, CacheSerializer.Instance.Deserialize<CacheAccess>(new byte[3]));
    }

    private async Task<ReplicatedCache> OpenAsync(GroupNode node)
    {
        var cache = new ReplicatedCache(node, new() { TimeProvider = _time, UpdateTimeout = RealNodes.Patience });
        await cache.WhenOpenAsync().WaitAsync(RealNodes.Patience);
        return cache;
    }

    private List<byte[]?> Everywhere(params string[] keys) => [.. keys.SelectMany(key => (byte[]?[])[_cache.Get(key), _other.Get(key)])];

    private static ReadOnlySequence<byte> Sequence(byte[] first, byte[] second)
    {
        var head = new Piece(first, null);
        return new ReadOnlySequence<byte>(head, 0, new Piece(second, head), second.Length);
    }

    private sealed class Piece : ReadOnlySequenceSegment<byte>
    {
        public Piece(byte[] bytes, Piece? before)
        {
            Memory = bytes;
            if (before is null) return;
            RunningIndex = before.Memory.Length;
            before.Next = this;
        }
    }

    private sealed class ManualTime : TimeProvider
    {
        public DateTimeOffset Now { get; private set; } = new(2026, 11, 21, 12, 0, 0, TimeSpan.Zero);

        public void Pass(TimeSpan time) => Now += time;

        public override DateTimeOffset GetUtcNow() => Now;
    }
}

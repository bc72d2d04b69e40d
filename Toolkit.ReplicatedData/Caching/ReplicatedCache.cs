// An IDistributedCache over a replicated space: entries in the total order, accesses to sliding entries by causal multicasts.
// Keeps: whether an entry is found depends on the entry, the accesses told of it and the local clock alone, so reads wait for nobody;
// an entry is removed by the version that had expired, so one that was set anew meanwhile stays.
// Deviates from a single clock: nodes' clocks are taken to agree; where one is ahead, entries expire sooner by as much.
using System.Buffers;
using Core.Groups;
using Microsoft.Extensions.Caching.Distributed;

namespace Toolkit.ReplicatedData.Caching;

/// <summary>
/// A cache that every node holds a copy of: reads are local, what was set or removed can no longer be lost, and it lives as long as
/// one node lives. All members may be used from any thread.
/// </summary>
/// <remarks>
/// Reading never waits. Before the copy is here nothing is found; while the node is cut off from the primary, what it knew is found. An
/// access to an entry with a sliding expiration is told to the others at most once a second (of expirations below ten seconds, ten
/// times in each), so that an entry expires so much too soon at most. Setting and removing wait until all nodes have it; in their
/// synchronous forms the calling thread waits. Their errors: <see cref="TimeoutException"/> (see
/// <see cref="ReplicatedCacheOptions.UpdateTimeout"/>; it may happen all the same), <see cref="MessageTooLargeException"/>,
/// <see cref="NodeStoppedException"/>.
/// </remarks>
public sealed class ReplicatedCache : IBufferDistributedCache, IAsyncDisposable
{
    private const int MostTouches = 256;
    private const int MostRemovals = 64;
    private const long TouchesInAPeriod = 10;

    private readonly ReplicatedCacheOptions _options;
    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _closed = new();
    private readonly Task<Copy> _opening;
    private readonly ITimer _sweeper;
    private int _touching;
    private int _isSweeping;

    /// <summary>Takes part in the cache from now on; the copy comes in the background.</summary>
    /// <param name="node">The node. If it has not started yet, the copy comes when it has.</param>
    /// <param name="options">Name, expiration, clock.</param>
    /// <exception cref="ArgumentException">An option is wrong.</exception>
    public ReplicatedCache(GroupNode node, ReplicatedCacheOptions options)
    {
        ArgumentNullException.ThrowIfNull(node);
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        (_options, _time) = (options, options.TimeProvider);
        _opening = Task.Run(() => OpenAsync(node, options.Name, _closed.Token));
        _sweeper = _time.CreateTimer(static cache => _ = ((ReplicatedCache)cache!).SweepAsync(), this, options.SweepInterval, options.SweepInterval);
    }

    /// <summary>Completes when the copy is here: what the others have set is found from then on.</summary>
    /// <param name="ct">Ends the wait.</param>
    /// <exception cref="NodeStoppedException">The node has stopped.</exception>
    public Task WhenOpenAsync(CancellationToken ct = default) => _opening.WaitAsync(ct);

    /// <summary>
    /// Completes when everything that was set or removed anywhere before this was called is found or gone here: for the rare read that
    /// must not be a moment late. Takes about two round trips.
    /// </summary>
    /// <param name="ct">Ends the wait.</param>
    /// <exception cref="ExcludedException">The others went on without this node; the copy is taken anew.</exception>
    /// <exception cref="NodeStoppedException">The node has stopped.</exception>
    public async Task CatchUpAsync(CancellationToken ct = default)
    {
        Copy copy = await _opening.WaitAsync(ct).ConfigureAwait(false);
        await copy.Space.ReadAsync(static () => true, ct).ConfigureAwait(false);
    }

    /// <summary>How many entries take memory here, expired ones included.</summary>
    internal int Held => _opening.Result.Entries.Count;

    // ---- reading

    /// <inheritdoc/>
    public byte[]? Get(string key) => Find(key)?.Body.ToArray();

    /// <inheritdoc/>
    public Task<byte[]?> GetAsync(string key, CancellationToken token = default)
    {
        token.ThrowIfCancellationRequested();
        return Task.FromResult(Get(key));
    }

    /// <inheritdoc/>
    public bool TryGet(string key, IBufferWriter<byte> destination)
    {
        ArgumentNullException.ThrowIfNull(destination);
        if (Find(key) is not { } entry) return false;
        destination.Write(entry.Body.Span);
        return true;
    }

    /// <inheritdoc/>
    public ValueTask<bool> TryGetAsync(string key, IBufferWriter<byte> destination, CancellationToken token = default)
    {
        token.ThrowIfCancellationRequested();
        return ValueTask.FromResult(TryGet(key, destination));
    }

    /// <inheritdoc/>
    public void Refresh(string key) => Find(key);

    /// <inheritdoc/>
    public Task RefreshAsync(string key, CancellationToken token = default)
    {
        token.ThrowIfCancellationRequested();
        Refresh(key);
        return Task.CompletedTask;
    }

    // ---- updates

    /// <inheritdoc/>
    public void Set(string key, byte[] value, DistributedCacheEntryOptions options) => SetAsync(key, value, options).GetAwaiter().GetResult();

    /// <inheritdoc/>
    public Task SetAsync(string key, byte[] value, DistributedCacheEntryOptions options, CancellationToken token = default)
    {
        ArgumentNullException.ThrowIfNull(value);
        return SetEntryAsync(key, value, options, token);
    }

    /// <inheritdoc/>
    public void Set(string key, ReadOnlySequence<byte> value, DistributedCacheEntryOptions options) =>
        SetEntryAsync(key, Join(value), options, CancellationToken.None).GetAwaiter().GetResult();

    /// <inheritdoc/>
    public ValueTask SetAsync(string key, ReadOnlySequence<byte> value, DistributedCacheEntryOptions options, CancellationToken token = default) =>
        new(SetEntryAsync(key, Join(value), options, token));

    /// <inheritdoc/>
    public void Remove(string key) => RemoveAsync(key).GetAwaiter().GetResult();

    /// <inheritdoc/>
    public Task RemoveAsync(string key, CancellationToken token = default)
    {
        ArgumentNullException.ThrowIfNull(key);
        return UpdateAsync(key, static async (copy, key, ct) => await copy.Entries.RemoveAsync(key, ct: ct).ConfigureAwait(false), token);
    }

    /// <summary>
    /// Gives the cache up at this node. The last node that does so takes the entries with it. A node that is cut off leaves when it is not any
    /// more; that is not waited for longer than a few seconds.
    /// </summary>
    public async ValueTask DisposeAsync()
    {
        await _closed.CancelAsync().ConfigureAwait(false);
        await _sweeper.DisposeAsync().ConfigureAwait(false);
        await ((Task)_opening).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (_opening.IsCompletedSuccessfully)
            await _opening.Result.Space.DisposeAsync().ConfigureAwait(false);
    }

    /// <summary>Removes what has expired, if this node is the oldest one; else that one does.</summary>
    internal async Task SweepAsync()
    {
        if (!_opening.IsCompletedSuccessfully || Interlocked.Exchange(ref _isSweeping, 1) == 1) return;
        try
        {
            Copy copy = _opening.Result;
            if (!copy.Space.IsMember || copy.Space.View.RankOf(copy.Space.Node.Id) != 0) return;
            long now = _time.GetUtcNow().UtcTicks;
            var removals = new List<Task>();
            foreach (string key in copy.Entries.Mirror.Cells.Select(c => c.Key))
            {
                if (copy.Look(key, out CacheEntry? entry, out long lastAccess) is var version && version > 0 && entry!.IsExpired(lastAccess, now))
                    await AddAsync(removals, copy.Entries.CompareAndRemoveAsync(key, version, UpdateWait.Ordered, ct: _closed.Token).AsTask()).ConfigureAwait(false);
            }

            foreach (string key in copy.Accesses.Mirror.Cells.Select(c => c.Key))
            {
                if (!copy.Entries.ContainsKey(key))
                    await AddAsync(removals, copy.Accesses.RemoveCausalAsync(key, _closed.Token).AsTask()).ConfigureAwait(false);
            }

            await Task.WhenAll(removals).ConfigureAwait(false);
        }
        catch (Exception e) when (e is GroupException or OperationCanceledException or ObjectDisposedException or InvalidOperationException)
        {
            // Excluded, stopped, or closed: whoever is the oldest then does it the next time.
        }
        finally
        {
            Volatile.Write(ref _isSweeping, 0);
        }
    }

    private static async ValueTask AddAsync(List<Task> tasks, Task task)
    {
        tasks.Add(task);
        if (tasks.Count < MostRemovals) return;
        await Task.WhenAll(tasks).ConfigureAwait(false);
        tasks.Clear();
    }

    private CacheEntry? Find(string key)
    {
        ArgumentNullException.ThrowIfNull(key);
        if (!_opening.IsCompletedSuccessfully) return null;
        Copy copy = _opening.Result;
        long version = copy.Look(key, out CacheEntry? entry, out long lastAccess);
        long now = _time.GetUtcNow().UtcTicks;
        if (version == 0 || entry!.IsExpired(lastAccess, now)) return null;
        if (entry.Sliding > 0 && now - lastAccess >= Math.Min(TimeSpan.TicksPerSecond, entry.Sliding / TouchesInAPeriod)) Touch(copy, key, new CacheAccess(version, now));
        return entry;
    }

    // What cannot be told now is not: the next access tells, and so nothing piles up while the node is cut off.
    private void Touch(Copy copy, string key, CacheAccess access)
    {
        if (Interlocked.Increment(ref _touching) <= MostTouches)
            _ = TouchAsync(copy, key, access);
        else
            Interlocked.Decrement(ref _touching);
    }

    private async Task TouchAsync(Copy copy, string key, CacheAccess access)
    {
        try
        {
            await copy.Accesses.SetCausalAsync(key, access, _closed.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (e is GroupException or OperationCanceledException or ObjectDisposedException or InvalidOperationException)
        {
            // Excluded or closed: it is one access that was not told.
        }
        finally
        {
            Interlocked.Decrement(ref _touching);
        }
    }

    private Task SetEntryAsync(string key, ReadOnlyMemory<byte> value, DistributedCacheEntryOptions options, CancellationToken ct)
    {
        ArgumentNullException.ThrowIfNull(key);
        ArgumentNullException.ThrowIfNull(options);
        CacheEntry entry = CacheEntry.Create(value, options, _options.DefaultSlidingExpiration, _time.GetUtcNow());
        return UpdateAsync(
            (key, entry), static async (copy, set, ct) => await copy.Entries.SetAsync(set.key, set.entry, ct: ct).ConfigureAwait(false), ct);
    }

    // Setting and removing twice is as doing it once: what an exclusion leaves open is done again.
    private async Task UpdateAsync<TState>(TState state, Func<Copy, TState, CancellationToken, ValueTask> update, CancellationToken ct)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(ct, _closed.Token);
        limit.CancelAfter(_options.UpdateTimeout);
        try
        {
            Copy copy = await _opening.WaitAsync(limit.Token).ConfigureAwait(false);
            while (true)
            {
                try
                {
                    await update(copy, state, limit.Token).ConfigureAwait(false);
                    return;
                }
                catch (ExcludedException)
                {
                    await copy.Space.WhenJoinedAsync(limit.Token).ConfigureAwait(false);
                }
            }
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
            ObjectDisposedException.ThrowIf(_closed.IsCancellationRequested, this);
            throw new TimeoutException(
                $"The cache '{_options.Name}' was not updated within {_options.UpdateTimeout}: this node is cut off from the others, or they are very busy. "
                + $"It may still be updated. Do it again, go on without the cache, or allow more time ({nameof(ReplicatedCacheOptions.UpdateTimeout)}).");
        }
    }

    private static async Task<Copy> OpenAsync(GroupNode node, string name, CancellationToken closed)
    {
        while (true)
        {
            ReplicatedSpace? space = null;
            try
            {
                space = await ReplicatedSpace.OpenGroupAsync(node, name + "#cache", closed).ConfigureAwait(false);
                return new Copy(
                    space,
                    await space.OpenDictionaryAsync<string, CacheEntry>("entries", new() { Serializer = CacheSerializer.Instance }, closed).ConfigureAwait(false),
                    await space.OpenDictionaryAsync<string, CacheAccess>("accesses", new() { Mode = UpdateMode.Causal, Serializer = CacheSerializer.Instance }, closed)
                        .ConfigureAwait(false));
            }
            catch (Exception e)
            {
                if (space is not null) await space.DisposeAsync().ConfigureAwait(false);
                if (e is not ExcludedException) throw;
            }
        }
    }

    private static ReadOnlyMemory<byte> Join(ReadOnlySequence<byte> value) => value.IsSingleSegment ? value.First : value.ToArray();

    private sealed record Copy(ReplicatedSpace Space, ReplicatedDictionary<string, CacheEntry> Entries, ReplicatedDictionary<string, CacheAccess> Accesses)
    {
        /// <summary>An entry's version, 0 if there is none, and the last access that was told.</summary>
        public long Look(string key, out CacheEntry? entry, out long lastAccess)
        {
            Versioned<CacheEntry> found = Entries.Get(key);
            entry = found.Value;
            lastAccess = entry?.SetAt ?? 0;
            if (entry is { Sliding: > 0 } && Accesses.TryGetValue(key, out CacheAccess access) && access.Version == found.Version)
                lastAccess = Math.Max(lastAccess, access.At);
            return found.Version;
        }
    }
}

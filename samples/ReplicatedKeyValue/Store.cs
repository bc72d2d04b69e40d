// The replicated dictionary behind the service, and what a page that watches it is told.
using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using Core.Groups;
using Microsoft.Extensions.Hosting;
using Toolkit.ReplicatedData;

namespace ReplicatedKeyValue;

/// <summary>What a page shows.</summary>
/// <param name="Node">Who tells it.</param>
/// <param name="Blocked">Whether it is cut off from the others.</param>
/// <param name="View">The number of the view.</param>
/// <param name="Members">The servers, the oldest first.</param>
/// <param name="Count">How many keys there are.</param>
/// <param name="Entries">The first of them, in their order.</param>
internal sealed record Picture(string Node, bool Blocked, long View, ImmutableArray<string> Members, int Count, SortedDictionary<string, string> Entries);

/// <summary>The store at this server: its copy comes in the background, and again after an exclusion.</summary>
internal sealed class Store(GroupNode node) : IHostedService
{
    private const int Shown = 100;
    private static readonly TimeSpan ShowEvery = TimeSpan.FromMilliseconds(250);

    private readonly CancellationTokenSource _stopping = new();
    private readonly TaskCompletionSource<ReplicatedDictionary<string, string>> _opened = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public Task StartAsync(CancellationToken cancellationToken)
    {
        _ = OpenAsync();
        return Task.CompletedTask;
    }

    // The node stops next, and leaves its groups in order.
    public Task StopAsync(CancellationToken cancellationToken) => _stopping.CancelAsync();

    /// <summary>The dictionary, when it is here.</summary>
    public Task<ReplicatedDictionary<string, string>> OpenedAsync(CancellationToken ct) => _opened.Task.WaitAsync(ct);

    /// <summary>A picture now, and one whenever it has changed.</summary>
    public async IAsyncEnumerable<Picture> WatchAsync([EnumeratorCancellation] CancellationToken ct)
    {
        ReplicatedDictionary<string, string> entries = await OpenedAsync(ct);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(ct, _stopping.Token);
        using var timer = new PeriodicTimer(ShowEvery);
        long changes = 1, told = 0;
        (bool, long) status = default;
        void OnChange(EntryChange<string, string> change) => Interlocked.Increment(ref changes);
        entries.Changed += OnChange;
        try
        {
            while (!either.IsCancellationRequested)
            {
                long now = Interlocked.Read(ref changes);
                if (now != told || status != (node.IsBlocked, entries.Space.View.Number))
                {
                    (told, status) = (now, (node.IsBlocked, entries.Space.View.Number));
                    yield return Take(entries);
                }

                await timer.WaitForNextTickAsync(either.Token);
            }
        }
        finally
        {
            entries.Changed -= OnChange;
        }
    }

    private Picture Take(ReplicatedDictionary<string, string> entries)
    {
        Dictionary<string, string> all = entries.Snapshot();
        var shown = new SortedDictionary<string, string>(all.OrderBy(e => e.Key, StringComparer.Ordinal).Take(Shown).ToDictionary(), StringComparer.Ordinal);
        View view = entries.Space.View;
        return new Picture(node.Name, node.IsBlocked, view.Number, [.. view.Members.Select(m => m.Name)], all.Count, shown);
    }

    private async Task OpenAsync()
    {
        while (true)
        {
            try
            {
                _opened.TrySetResult(await node.ReplicatedDictionaryAsync<string, string>("/store", ct: _stopping.Token));
                return;
            }
            catch (ExcludedException)
            {
                // the others went on without this node meanwhile: again, as its next incarnation
            }
            catch (Exception e)
            {
                _opened.TrySetException(e);
                return;
            }
        }
    }
}

// What all who open the news at one node share: the channels that it has part in, the directory, the router.
// Keeps: no channel is left while something of this node is under way in it; the router runs in one place, and is told of every change.
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Core.Groups;
using Core.Groups.Replication;
using Toolkit.News.Placement;
using Toolkit.News.Replication;

namespace Toolkit.News;

/// <summary>A channel that this node has part in.</summary>
internal sealed class OpenChannel(int number, Task<ReplicaHost<NewsReplica>> opening)
{
    public int Number => number;

    public Task<ReplicaHost<NewsReplica>> Opening => opening;

    /// <summary>The router, and calls that are under way. Under the gate, as what follows.</summary>
    public int Users { get; set; }

    /// <summary>Whether one has ended since the last look.</summary>
    public bool WasUsed { get; set; }
}

/// <summary>The news of one node.</summary>
internal sealed class NewsHub : INewsWorld, INewsEffects
{
    private static readonly ConditionalWeakTable<GroupNode, Dictionary<string, NewsHub>> Hubs = [];
    private static readonly TimeSpan MovePatience = TimeSpan.FromMilliseconds(10);

    private readonly GroupNode _node;
    private readonly NewsCalls _calls;
    private readonly OpenChannel?[] _channels;
    private readonly Lock _gate = new();
    private readonly Lock _routing = new();
    private readonly NewsRouter _router;
    private readonly OpenChannel?[] _held;
    private readonly Dictionary<Route, Action<Exception>> _beginning = [];
    private readonly Dictionary<string, int> _places = []; // as they were last told of, where there is no directory
    private readonly Channel<byte> _changes = Channel.CreateBounded<byte>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly CancellationTokenSource _closed = new();
    private Task<ReplicaHost<NewsDirectory>>? _directory;
    private Task? _running;
    private int _users;

    private NewsHub(GroupNode node, NewsOptions options)
    {
        (_node, Options, _calls) = (node, options, NewsCalls.Of(node));
        (_channels, _held) = (new OpenChannel?[options.Channels], new OpenChannel?[options.Channels]);
        _router = new NewsRouter(this, options.Channels, options.RebalanceAfter);
    }

    public NewsOptions Options { get; }

    public bool CanMove => Options.RebalanceAfter != Timeout.InfiniteTimeSpan;

    public CancellationToken Closed => _closed.Token;

    /// <summary>The hub of a node; <see cref="ReleaseAsync"/> follows.</summary>
    public static NewsHub Obtain(GroupNode node, NewsOptions options)
    {
        Dictionary<string, NewsHub> hubs = Hubs.GetValue(node, static _ => []);
        lock (hubs)
        {
            if (!hubs.TryGetValue(options.GroupOf(0), out NewsHub? hub))
                hubs.Add(options.GroupOf(0), hub = new NewsHub(node, options));
            hub._users++;
            return hub;
        }
    }

    public async ValueTask ReleaseAsync()
    {
        Dictionary<string, NewsHub> hubs = Hubs.GetValue(_node, static _ => []);
        lock (hubs)
        {
            if (--_users > 0)
                return;
            hubs.Remove(Options.GroupOf(0));
        }

        await _closed.CancelAsync().ConfigureAwait(false);
        if (_running is not null)
            await _running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        foreach (OpenChannel open in _channels.OfType<OpenChannel>())
            await CloseAsync(open.Opening).ConfigureAwait(false);
        if (_directory is not null)
            await CloseAsync(_directory).ConfigureAwait(false);
    }

    private static async Task CloseAsync<TReplica>(Task<ReplicaHost<TReplica>> opening) where TReplica : Replica
    {
        await ((Task)opening).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (opening.IsCompletedSuccessfully)
            await opening.Result.DisposeAsync().ConfigureAwait(false);
    }

    // ---- subscriptions

    /// <summary>A subscription begins.</summary>
    /// <param name="failed">Called if it cannot.</param>
    public void Add(Route route, Action<Exception> failed)
    {
        lock (_routing)
        {
            _beginning.Add(route, failed);
            _router.Add(route);
        }

        Start();
        Changed();
    }

    public void Remove(Route route)
    {
        lock (_routing)
        {
            _beginning.Remove(route);
            _router.Remove(route);
        }

        Changed();
    }

    public void Changed() => _changes.Writer.TryWrite(0);

    private void Start()
    {
        lock (_gate)
        {
            _running ??= Task.WhenAll(RunAsync(), TendAsync());
            if (CanMove && _directory is null or { IsFaulted: true })
                _directory = Watched(ReplicaHost<NewsDirectory>.OpenAsync(_node, Options.DirectoryGroup, () => new NewsDirectory(_channels.Length, Changed), Closed).AsTask(), channel: null);
        }
    }

    private async Task RunAsync()
    {
        await Task.Yield();
        while (!Closed.IsCancellationRequested)
        {
            TimeSpan next;
            lock (_routing)
            {
                _router.Step();
                next = _router.NextLook;
            }

            using var over = CancellationTokenSource.CreateLinkedTokenSource(Closed);
            if (next != Timeout.InfiniteTimeSpan)
                over.CancelAfter(next);
            await _changes.Reader.ReadAsync(over.Token).AsTask().ContinueWith(static _ => { }, TaskScheduler.Default).ConfigureAwait(false);
        }
    }

    // A join that fails for good ends what waits for it.
    private async Task<ReplicaHost<TReplica>> Watched<TReplica>(Task<ReplicaHost<TReplica>> opening, int? channel) where TReplica : Replica
    {
        await Task.Yield(); // out of the caller's gate
        try
        {
            return await opening.ConfigureAwait(false);
        }
        catch (Exception e)
        {
            lock (_routing)
            {
                if (channel is { } lost)
                    _router.Lost(lost);
                foreach (Action<Exception> failed in _beginning.Values)
                    failed(e);
                _beginning.Clear();
            }

            throw;
        }
        finally
        {
            Changed();
        }
    }

    // ---- the router's world

    TimeSpan INewsWorld.Now => TimeSpan.FromMilliseconds(Environment.TickCount64);

    IEnumerable<int> INewsWorld.Open => _channels.OfType<OpenChannel>().Select(c => c.Number);

    bool INewsWorld.TryDirectory(Action<NewsDirectory> call) => _directory is { IsCompletedSuccessfully: true } opening && TryRun(opening.Result, call);

    bool INewsWorld.TryChannel(int channel, Action<NewsReplica> call) =>
        Volatile.Read(ref _channels[channel]) is { Opening: { IsCompletedSuccessfully: true } opening } && TryRun(opening.Result, call);

    void INewsWorld.Hold(int channel) => _held[channel] = Enter(channel);

    void INewsWorld.Let(int channel)
    {
        Exit(_held[channel]!);
        _held[channel] = null;
    }

    private static bool TryRun<TReplica>(ReplicaHost<TReplica> host, Action<TReplica> call) where TReplica : Replica
    {
        try
        {
            if (!host.IsMember)
                return false;
            host.Run(call, static (replica, call) => call(replica));
            return true;
        }
        catch (Exception e) when (e is GroupException or ObjectDisposedException)
        {
            return false; // not a member now
        }
    }

    // ---- posts

    void INewsEffects.Posted(long call, long number) => _calls.End(call, number);

    void INewsEffects.Moved(long call) => _calls.End(call, NewsReplica.Elsewhere);

    void INewsEffects.Ended(long call, MembershipEnd end) => _calls.Fail(call, end.ToException(Options.Path, outcomeUnknown: true));

    public DirectoryLook? LookDirectory()
    {
        DirectoryLook? look = null;
        ((INewsWorld)this).TryDirectory(d => look = d.Look());
        return look;
    }

    /// <summary>Where a word is, as far as this node knows.</summary>
    public int PlaceOf(string word)
    {
        if (!CanMove)
            return ChannelMap.ChannelOf(word, _channels.Length);
        if (LookDirectory() is { } look)
            return look.PlaceOf(word);
        lock (_gate)
            return _places.TryGetValue(word, out int place) ? place : ChannelMap.ChannelOf(word, _channels.Length);
    }

    /// <summary>A word was not where it was looked for. False: nobody has part in these news.</summary>
    public async ValueTask<bool> LookAgainAsync(string word, CancellationToken ct)
    {
        await Task.Delay(MovePatience, ct).ConfigureAwait(false); // a move takes a few round trips
        if (!CanMove || LookDirectory() is not null)
            return true;
        int? place = await OutsidePost.AskPlaceAsync((order, body) => _node.RequestAsync(Options.DirectoryGroup, order, body, Replies.First, timeout: null, ct), word).ConfigureAwait(false);
        lock (_gate)
        {
            if (place is { } known)
                _places[word] = known;
            return place is not null;
        }
    }

    /// <summary>Completes when this node has its copy of the directory, if there is to be one.</summary>
    public async Task TakePartAsync(CancellationToken ct)
    {
        Start();
        if (!CanMove)
            return;
        ReplicaHost<NewsDirectory> host = await _directory!.WaitAsync(ct).ConfigureAwait(false);
        await host.WhenJoinedAsync(ct).ConfigureAwait(false);
    }

    // ---- channels

    public IEnumerable<ReplicaHost<NewsReplica>> Hosts() =>
        _channels.OfType<OpenChannel>().Where(c => c.Opening.IsCompletedSuccessfully).Select(c => c.Opening.Result);

    public OpenChannel? EnterIfOpen(int channel)
    {
        lock (_gate)
        {
            if (_channels[channel] is not { Opening.IsCompletedSuccessfully: true } open)
                return null;
            open.Users++;
            return open;
        }
    }

    public OpenChannel Enter(int channel)
    {
        lock (_gate)
        {
            if (_channels[channel] is null or { Opening: { IsFaulted: true } or { IsCanceled: true } })
            {
                _channels[channel] = new OpenChannel(channel, Watched(
                    Task.Run(() => ReplicaHost<NewsReplica>.OpenAsync(_node, Options.GroupOf(channel), () => new NewsReplica(Options, this, CanMove ? channel : -1), Closed).AsTask()),
                    channel));
            }

            _channels[channel]!.Users++;
            return _channels[channel]!;
        }
    }

    public void Exit(OpenChannel open)
    {
        lock (_gate)
        {
            open.Users--;
            open.WasUsed = true;
        }
    }

    // Channels follow their subscribers: a node that has nothing to do with one any more leaves it, if there are copies enough.
    private async Task TendAsync()
    {
        if (Options.LeaveAfter == Timeout.InfiniteTimeSpan)
            return;
        using var timer = new PeriodicTimer(Options.LeaveAfter);
        try
        {
            while (await timer.WaitForNextTickAsync(Closed).ConfigureAwait(false))
            {
                for (int channel = 0; channel < _channels.Length; channel++)
                {
                    if (TakeUnused(channel) is { } unused)
                        await unused.DisposeAsync().AsTask().WaitAsync(Closed).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                }
            }
        }
        catch (OperationCanceledException)
        {
            // the hub is closed
        }
    }

    private ReplicaHost<NewsReplica>? TakeUnused(int channel)
    {
        DirectoryLook? look = CanMove ? LookDirectory() : null;
        lock (_gate)
        {
            if (_channels[channel] is not { Users: 0, Opening.IsCompletedSuccessfully: true } open)
                return null;
            ReplicaHost<NewsReplica> host = open.Opening.Result;
            bool isWanted = open.WasUsed || !host.IsMember || (CanMove && look is null) || IsKeeper(channel, host.View, look);
            open.WasUsed = false;
            if (isWanted)
                return null;
            _channels[channel] = null;
            return host;
        }
    }

    // The oldest of those who want nothing of a channel make up for what is missing of its copies.
    private bool IsKeeper(int channel, View view, DirectoryLook? look)
    {
        bool Wants(NodeId node) => look?.Wants.GetValueOrDefault(node) is { } wants && (wants.All || wants.Words.Any(w => look.PlaceOf(w) == channel));
        NodeId[] others = [.. view.Members.Where(m => !Wants(m))];
        int missing = Options.Copies - (view.Members.Length - others.Length);
        return others.Take(missing).Contains(_node.Id);
    }
}

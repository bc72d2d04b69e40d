// Brings this node's subscriptions to the channels that have their words, takes part in moves, and carries out those that are its own.
// Keeps: a subscriber gets every post once and in its order, wherever its word moves and whoever is excluded meanwhile. No state but what
// was sent last: it looks at what the replicas hold, and does what is missing.
using Toolkit.News.Replication;

namespace Toolkit.News.Placement;

/// <summary>The router of one node. One caller at a time.</summary>
/// <param name="rebalanceAfter">Words move when wishes have been as they are for so long; infinite: never, and there is no directory.</param>
internal sealed class NewsRouter(INewsWorld world, int channels, TimeSpan rebalanceAfter)
{
    private readonly List<Route> _routes = [];
    private readonly SortedSet<int> _held = [];
    private WantedWords _wishes = WantedWords.None;
    private object? _wantsPlanned; // the wishes of all that the time of the plan was set for
    private TimeSpan _planAt;

    /// <summary>Asked after each step: when to look again though nothing has changed.</summary>
    public TimeSpan NextLook { get; private set; } = Timeout.InfiniteTimeSpan;

    private bool CanMove => rebalanceAfter != Timeout.InfiniteTimeSpan;

    /// <summary>A subscription begins.</summary>
    public void Add(Route route)
    {
        _routes.Add(route);
        Wish();
    }

    /// <summary>A subscription is over.</summary>
    public void Remove(Route route)
    {
        if (!_routes.Remove(route))
            return;
        foreach (int channel in route.Channels)
            world.TryChannel(channel, r => r.Unsubscribe(route.Sink));
        Wish();
    }

    /// <summary>This node has no part in a channel that it was to have: it is asked for again if it is needed.</summary>
    public void Lost(int channel) => _held.Remove(channel);

    /// <summary>Does what can be done now. To be called whenever something may have changed.</summary>
    public void Step()
    {
        NextLook = Timeout.InfiniteTimeSpan;
        DirectoryLook? look = CanMove ? null : new DirectoryLook(channels, default, [], Nothing.Places, Nothing.Wants, null, 0, []);
        if (CanMove && !world.TryDirectory(d => look = d.Look()))
            return;
        TellWishes();
        HoldWhatIsNeeded(look!);
        bool allJoined = _held.All(IsMember);
        bool isShown = ShowWhatCame(allJoined);
        foreach (Route route in _routes)
        {
            if (route.Channels.Count == 0)
                TryBegin(route, look!, allJoined && isShown);
            else if (route.Word is { } word && look!.Move?.Word != word)
                TryFollow(route, word, look.PlaceOf(word), allJoined && isShown);
        }

        if (CanMove)
            TakePart(look!, allJoined && isShown);
        TidyUp(look!, allJoined && isShown);
    }

    // ---- subscriptions

    private void Wish() => _wishes = new WantedWords(
        _routes.Exists(r => r.Word is null), [.. _routes.Where(r => r.Word is not null).Select(r => r.Word!).Distinct().Order(StringComparer.Ordinal)]);

    private bool IsMember(int channel) => world.Any(channel, static _ => true);

    private bool Has(int channel, string word) => world.Any(channel, r => r.Words.Has(word));

    private void HoldWhatIsNeeded(DirectoryLook look)
    {
        SortedSet<int> needed = NeededNow(look);
        foreach (int channel in needed.Where(_held.Add))
            world.Hold(channel);
    }

    private SortedSet<int> NeededNow(DirectoryLook look)
    {
        if (_wishes.All)
            return [.. Enumerable.Range(0, channels)];
        SortedSet<int> needed = [.. _routes.SelectMany(r => r.Channels), .. _wishes.Words.Select(look.PlaceOf)];
        if (look.Move is { } move && _wishes.Contains(move.Word))
            needed.Add(move.To);
        if (look.Move is { } own && look.Mover == look.Self)
            needed.UnionWith([own.From, own.To]);
        return needed;
    }

    private void TryBegin(Route route, DirectoryLook look, bool isSettled)
    {
        if (route.Word is { } word)
        {
            int place = look.PlaceOf(word);
            bool begins = false;
            if ((CanMove && !look.Own.Contains(word)) || look.Move?.Word == word)
                return;
            world.TryChannel(place, r =>
            {
                begins = r.Words.Has(word) && !r.Held.Contains(word);
                if (begins)
                    route.Begin(r);
            });
            if (!begins)
                return;
            route.Channels.Add(place);
        }
        else
        {
            if ((CanMove && !look.Own.All) || look.Move is not null || !isSettled || !IsAllThere(look))
                return;
            foreach (int channel in _held.Where(c => world.TryChannel(c, route.Begin)))
                route.Channels.Add(channel);
        }

        route.Begun();
    }

    // Whether what the directory says has been delivered in the channels, too, and is shown.
    private bool IsAllThere(DirectoryLook look) =>
        _held.All(c => world.Any(c, r => r.Words.Told >= 0 && r.Held.Count == 0 && !r.Words.Went.Any(w => look.PlaceOf(w) == c)))
        && look.Moved.All(m => !_held.Contains(m.Value) || Has(m.Value, m.Key));

    private bool IsTold(int channel) => world.Any(channel, static r => r.Words.Told >= 0);

    // A word that came is shown when no other channel here has it: then it is known what its subscribers have got.
    private bool ShowWhatCame(bool allJoined)
    {
        bool isShown = true;
        foreach (int channel in _held)
        {
            string[] words = [];
            world.TryChannel(channel, r => words = [.. r.Held]);
            foreach (string word in words)
            {
                if (!allJoined || _held.Any(c => c != channel && Has(c, word)))
                {
                    isShown = false;
                    continue;
                }

                (INewsSink, PassedOn)[] sinks = [.. _routes.Where(r => r.Channels.Contains(channel)).Select(r => (r.Sink, WhatWasGot(r.Channels, word)))];
                world.TryChannel(channel, r => r.Show(word, sinks));
            }
        }

        return isShown;
    }

    private PassedOn WhatWasGot(IEnumerable<int> from, string word)
    {
        (long by, HashSet<PostId> known) = (0, []);
        foreach (int channel in from)
        {
            world.TryChannel(channel, r =>
            {
                if (!r.PassedOn.TryGetValue(word, out PassedOn? passed))
                    return;
                by = Math.Max(by, passed.By);
                known.UnionWith(passed.Known);
            });
        }

        return new PassedOn(by, known);
    }

    // After an exclusion a word may be elsewhere: the subscriber goes on there with what it has not got.
    private bool TryFollow(Route route, string word, int place, bool isSettled)
    {
        if (route.Channels.Contains(place))
            return true;
        bool isNew = !Has(place, word);
        if (!IsMember(place) || (!isNew && (!isSettled || route.Channels.Any(c => Has(c, word)))))
            return false;
        PassedOn got = WhatWasGot(route.Channels, word);
        bool goesOn = false;
        world.TryChannel(place, r =>
        {
            goesOn = r.Words.Has(word) != isNew && !r.Held.Contains(word);
            if (goesOn)
                r.GoOn(route.Sink, word, got.Known);
        });
        return goesOn && route.Channels.Add(place);
    }

    // ---- moves

    private void TellWishes() => world.TryDirectory(d =>
    {
        if (_wishes.IsSame(d.Sent.Wishes))
            return;
        d.Want(_wishes);
        d.Sent.Wishes = _wishes;
    });

    private void TakePart(DirectoryLook look, bool isSettled)
    {
        if (look.Move is { } move)
        {
            if (look.Own.Contains(move.Word))
                GetReady(move, look, isSettled);
            if (look.IsEverybodyReady && look.Mover == look.Self)
                CarryOut(move);
        }
        else if (!look.Members.IsEmpty && look.Members[0] == look.Self)
        {
            Plan(look);
        }

        foreach (int channel in world.Open.ToArray())
            world.TryChannel(channel, r => TellChannel(channel, r, look));
    }

    private void GetReady(WordMove move, DirectoryLook look, bool isSettled)
    {
        bool isThere = IsMember(move.To);
        foreach (Route route in _routes.Where(r => r.Word == move.Word && r.Channels.Count > 0))
            isThere &= (!Has(move.From, move.Word) || TryFollow(route, move.Word, move.From, isSettled)) && TryFollow(route, move.Word, move.To, isSettled);
        if (!isThere || look.Ready.Contains(look.Self))
            return;
        world.TryDirectory(d =>
        {
            if (d.Sent.Ready < move.Number)
                d.Ready(d.Sent.Ready = move.Number);
        });
    }

    // Each step begins when what the one before did is delivered here; who takes over goes on where it stands.
    private void CarryOut(WordMove move)
    {
        ReadOnlyMemory<byte>? content = null;
        bool isClosed = false, isOpen = false;
        if (!IsTold(move.From) || !IsTold(move.To))
            return;
        world.TryChannel(move.From, r =>
        {
            isClosed = r.Words.WentBy(move.Word, move.Number);
            content = r.Words.ContentOf(move.Word, move.Number);
            if (!isClosed && r.Sent.Close < move.Number)
            {
                r.Close(move);
                r.Sent.Close = move.Number;
            }
        });
        if (!isClosed)
            return;
        world.TryChannel(move.To, r =>
        {
            isOpen = r.Words.CameBy(move.Word, move.Number);
            if (!isOpen && r.Sent.Open < move.Number)
            {
                r.Open(move, content ?? PostStore.Nothing);
                r.Sent.Open = move.Number;
            }
        });
        if (!isOpen)
            return;
        world.TryDirectory(d =>
        {
            if (d.Sent.Done < move.Number)
                d.Done(d.Sent.Done = move.Number);
        });
    }

    private void Plan(DirectoryLook look)
    {
        if (!ReferenceEquals(_wantsPlanned, look.Wants))
            (_wantsPlanned, _planAt) = (look.Wants, world.Now + rebalanceAfter);
        TimeSpan wait = _planAt - world.Now;
        if (wait > TimeSpan.Zero)
        {
            NextLook = wait;
            return;
        }

        world.TryDirectory(d =>
        {
            if (d.Sent.Proposal > look.LastMove || WordPlan.Next(look) is not var (word, to))
                return;
            d.Propose(word, to);
            d.Sent.Proposal = look.LastMove + 1;
        });
    }

    // The oldest member of a channel tells it which words it has, when it begins and should it differ from the directory; and that moves are done.
    private void TellChannel(int channel, NewsReplica replica, DirectoryLook look)
    {
        if (!replica.IsOldest)
            return;
        long lastMove = replica.Words.LastMove;
        if (lastMove > look.LastMove)
        {
            world.TryDirectory(d =>
            {
                if (d.Sent.Claim < lastMove)
                    d.Claim(channel, d.Sent.Claim = lastMove, [.. replica.Words.Came]);
            });
            return;
        }

        foreach ((string word, long move) in replica.Words.Leaving.Where(l => l.Move <= look.LastDone && replica.Sent.Dropped.Add(l)).ToArray())
            replica.Drop(word, move);
        string[] here = [.. look.Moved.Where(m => m.Value == channel).Select(m => m.Key)];
        List<(string, long)> away = [.. look.Moved.Where(m => m.Value != channel && ChannelMap.ChannelOf(m.Key, channels) == channel).Select(m => (m.Key, look.LastDone))];
        if (look.Move is { } pending && pending.From == channel)
        {
            here = [.. here.Where(w => w != pending.Word)];
            away.Add((pending.Word, pending.Number));
        }

        bool isRight = replica.Words.Told >= 0 && (look.Move is not null || replica.Words.LastMove > look.LastDone
            || (here.All(replica.Words.Has) && !away.Exists(a => replica.Words.Has(a.Item1)) && replica.Words.Came.All(w => look.PlaceOf(w) == channel)
                && !replica.Words.Went.Any(w => look.PlaceOf(w) == channel)));
        if (isRight || replica.Sent.Tell >= look.LastMove)
            return;
        replica.Tell(look.LastDone, here, away);
        replica.Sent.Tell = look.LastMove;
    }

    // ---- afterwards

    private void TidyUp(DirectoryLook look, bool isSettled)
    {
        if (CanMove && look.Move is null && isSettled && look.Own.IsSame(_wishes) && IsAllThere(look))
        {
            bool areThere = true;
            foreach (Route route in _routes.Where(r => r.Word is not null && r.Channels.Count > 0))
                areThere &= TryStay(route, look.PlaceOf(route.Word!));
            foreach (int channel in areThere ? _held : [])
                world.TryChannel(channel, static r => r.ForgetPassedOn());
        }

        SortedSet<int> needed = NeededNow(look);
        foreach (int channel in _held.Where(c => !needed.Contains(c)).ToArray())
        {
            _held.Remove(channel);
            world.Let(channel);
        }
    }

    private bool TryStay(Route route, int place)
    {
        if (!route.Channels.Contains(place) || !world.Any(place, r => r.Words.Has(route.Word!) && !r.Held.Contains(route.Word!)))
            return false;
        foreach (int other in route.Channels.Where(c => c != place).ToArray())
        {
            world.TryChannel(other, r => r.Unsubscribe(route.Sink));
            route.Channels.Remove(other);
        }

        return true;
    }
}

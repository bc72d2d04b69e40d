// The scripted application of one incarnation: joins, sends, answers, and handles what is delivered in its own time.
// Keeps: what a host keeps. One handler of a group at a time, in delivery order; sends only within the credit.
using System.Collections.Immutable;
using Core.Groups.Protocol.Groups;
using Core.Groups.Protocol;
using Core.Groups.Protocol.Requests;

namespace Core.Groups.Testing.Simulation;

/// <summary>The scripted application above one machine.</summary>
internal sealed class SimulatedApplication(ApplicationSeat seat) : ISimulatedApplication
{
    private readonly SimulatedCluster cluster = seat.Cluster;
    private readonly SimulatedProcess process = seat.Process;
    private readonly SortedSet<string> wanted = seat.Wanted;
    private readonly SimulationRandom random = seat.Random;
    private const int MaximumHops = 3;

    private readonly SimulatedStreams streams = new(seat);
    private QueryTracker? queries;
    private readonly Dictionary<GroupId, GroupReplica> replicas = [];
    /// <summary>The groups that this application asked to join with credentials that no member accepts.</summary>
    private readonly HashSet<string> strangers = [];
    private readonly SortedSet<string> joining = new(StringComparer.Ordinal);
    /// <summary>What came to this node as a single process.</summary>
    private readonly HashSet<ulong> alone = [];
    private readonly ApplicationProfile profile = seat.Cluster.Options.Application;

    /// <summary>Multicasts to several groups that ended unsent, because one of the memberships did.</summary>
    private readonly HashSet<ulong> givenUp = [];
    private SimulatedMoves? moves;
    private SimulatedRequests? requests;
    private SimulatedAnswers Answering => field ??= new SimulatedAnswers(seat, this);

    public CallTracker Calls { get; } = new(seat.Cluster, seat.Process.Id);
    public QueryTracker Queries => queries ??= new QueryTracker(cluster, process, Calls);

    public SimulatedRequests Requests => requests ??= new SimulatedRequests(seat, this);

    /// <summary>Members that move from node to node.</summary>
    public SimulatedMoves Moves => moves ??= new SimulatedMoves(seat, this);

    public bool IsStopping { get; private set; }

    /// <summary>The memberships, by name of the group.</summary>
    public IEnumerable<GroupReplica> Replicas => replicas.Values.OrderBy(replica => replica.Name, StringComparer.Ordinal);

    public GroupReplica? Find(string group) => replicas.Values.FirstOrDefault(replica => replica.Name == group);

    /// <summary>What this application still waits for; empty when it is idle and has all it wants.</summary>
    public IEnumerable<string> Unfinished()
    {
        foreach (string waiting in Calls.Waiting) yield return waiting;
        foreach (string group in wanted.Where(group => Find(group) is not { IsLoaded: true })) yield return $"no state of {group}";
        foreach (GroupReplica replica in Replicas)
        {
            if (replica.IsBusy || replica.Inbox.Count > 0) yield return $"{replica.Name} is handling messages";
            if (replica.Waiting.Count > 0) yield return $"{replica.Waiting.Count} sends in {replica.Name} wait for credit";
            if (replica.CreditUsed != 0) yield return $"{replica.CreditUsed} bytes of credit in {replica.Name} were not given back";
        }
    }

    public void Join(string group)
    {
        if (IsStopping || Find(group) is not null || !joining.Add(group)) return;
        long call = Calls.Begin($"join {group}", outcome => JoinFailed(group, outcome));
        GroupId candidate = new(random.NextULong(), random.NextULong());
        ReadOnlyMemory<byte> credentials = DrawCredentials(group);
        process.Call(now => process.Machine.Join(now, call, group, candidate, default, credentials, inspects: profile.StrangerChance > 0));
    }

    /// <summary>Joins as the target of a move. False: this application cannot.</summary>
    public bool TryAccept(long token, string group, Action onFailed)
    {
        if (IsStopping || Find(group) is not null || !joining.Add(group)) return false;
        wanted.Add(group);
        long call = Calls.Begin($"take {group} over", outcome =>
        {
            onFailed();
            JoinFailed(group, outcome);
        });
        ReadOnlyMemory<byte> credentials = DrawCredentials(group);
        process.Call(now => process.Machine.AcceptMigration(now, token, call, credentials, inspects: profile.StrangerChance > 0));
        return true;
    }

    private byte[] DrawCredentials(string group)
    {
        bool isStranger = profile.StrangerChance > 0 && random.Chance(profile.StrangerChance);
        if (isStranger) strangers.Add(group);
        else strangers.Remove(group);
        return isStranger ? "stranger"u8.ToArray() : "friend"u8.ToArray();
    }

    public void OnInspectJoin(GroupId group, long token, NodeId joiner, ReadOnlyMemory<byte> credentials)
    {
        if (Expect(group, $"the credentials of {joiner}") is not { } replica) return;
        string? refusal = credentials.Span.SequenceEqual("friend"u8) ? null : "a stranger";
        HandOver(replica, () => Hold(replica, profile.StateTime, () => process.Call(now => process.Machine.JoinInspected(now, token, refusal))));
    }

    public void OnJoinRefused(long call)
    {
        cluster.Coverage.Refusals++;
        Calls.OnCompleted(call, Outcome.NotMember);
    }

    public void Leave(string group)
    {
        if (Find(group) is not { IsLeaving: false } replica) return;
        replica.IsLeaving = true;
        long call = Calls.Begin($"leave {group}");
        process.Call(now => process.Machine.Leave(now, call, replica.Id));
    }

    /// <summary>Multicasts; null if this node is no member that has the state.</summary>
    public SentMessage? Send(string group, Order order, int size, int hops = 0)
    {
        if (IsStopping || Find(group) is not { IsLeaving: false, IsLoaded: true } replica) return null;
        SentMessage message = cluster.Announce(process.Id, group, order, size);
        byte[] body = MessageBody.Make(message.Marker, hops, mayIgnore: false, size);
        WithCredit(replica, body.Length + CreditAccount.MessageOverhead, () =>
        {
            long call = Calls.Begin($"multicast {order} in {group}", outcome =>
            {
                if (outcome == Outcome.Done) replica.Sent.Add(message.Marker);
            });
            process.Call(now =>
            {
                replica.Asked.Add(message.Marker);
                process.Machine.Multicast(now, call, replica.Id, order, body);
            });
        });
        return message;
    }

    /// <summary>Multicasts to more than one group, or with a label; null if this node is not in all the groups, with their states.</summary>
    public SentMessage? Send(SpreadNames to, Order order, int size)
    {
        GroupReplica?[] all = [.. to.Groups.Select(Find)];
        if (IsStopping || Array.Exists(all, r => r is not { IsLeaving: false, IsLoaded: true })) return null;
        SentMessage message = cluster.Announce(process.Id, to.Groups.FirstOrDefault(""), order, size, to);
        byte[] body = MessageBody.Make(message.Marker, MaximumHops, mayIgnore: false, size);
        SpreadTarget target = TargetOf(to);
        WithCredit(all, body.Length, () =>
        {
            long call = Calls.Begin($"multicast {order} in {string.Join('+', to.Groups)}", outcome =>
            {
                if (outcome != Outcome.Done) givenUp.Add(message.Marker);
                else foreach (GroupReplica? replica in all) replica!.Sent.Add(message.Marker);
            });
            process.Call(now =>
            {
                foreach (GroupReplica? replica in all) replica!.Asked.Add(message.Marker);
                process.Machine.Multicast(now, call, target, order, body);
            });
        });
        return message;
    }

    public SpreadTarget TargetOf(SpreadNames to) => new([.. to.Groups.Select(g => Find(g)!.Id).Order()], [.. to.To.Select(cluster.NodeIdOf)], to.Label);

    /// <summary>Takes credit in one group after the other; if this node leaves the one that it waits for, it gives back what it has.</summary>
    public void WithCredit(GroupReplica?[] all, int bytes, Action send, int taken = 0)
    {
        if (taken == all.Length)
        {
            send();
            return;
        }
        int size = bytes + CreditAccount.MessageOverhead;
        all[taken]!.WithCredit(seat.CreditWindow, size, () => WithCredit(all, bytes, send, taken + 1), GiveBack);

        void GiveBack()
        {
            foreach (GroupReplica? replica in all[..taken])
            {
                if (replicas.GetValueOrDefault(replica!.Id) == replica) OnCreditReleased(replica.Id, size);
            }
        }
    }

    /// <summary>Sets an entry of the group's configuration data; the value is unique in a run.</summary>
    public void Configure(string group, string key)
    {
        if (IsStopping || Find(group) is not { IsLeaving: false, IsLoaded: true } replica) return;
        string? value = random.Chance(0.1) ? null : $"{random.NextULong()}";
        long call = Calls.Begin($"configure {key} in {group}");
        process.Call(now => process.Machine.Configure(now, call, replica.Id, key, value));
    }

    /// <summary>Ranks the members in another order.</summary>
    public void Rank(string group)
    {
        if (IsStopping || Find(group) is not { IsLeaving: false, IsLoaded: true, View: { } view } replica) return;
        NodeId[] ranking = [.. view.Members.OrderBy(_ => random.NextULong()).Take(random.Between(1, view.Members.Length))];
        long call = Calls.Begin($"rank {group}");
        process.Call(now => process.Machine.Rank(now, call, replica.Id, ranking));
    }

    /// <summary>Asks the group as a member of it, or by its name; null if this node is a member that has no state yet.</summary>
    public SentMessage? Request(string group, Order order, ReplyMode mode, int count, TimeSpan? timeout, int size)
    {
        if (IsStopping || Find(group) is { IsLoaded: false }) return null;
        SentMessage message = cluster.Announce(process.Id, group, order, size);
        byte[] body = MessageBody.Make(message.Marker, MaximumHops, mayIgnore: timeout is not null, size);
        GroupReplica? replica = Find(group);
        if (replica is not null) WithCredit(replica, body.Length + CreditAccount.MessageOverhead, Ask);
        else Ask();
        return message;

        void Ask()
        {
            // Without replies a call by name ends when all members have the message: then it can be lost only with all of them.
            Action<Outcome>? ended = replica is null && mode == ReplyMode.None ? outcome => Promise(message, outcome) : null;
            long call = Calls.Begin($"request {order} {mode} in {group}", ended, message.Marker);
            process.Call(now =>
            {
                if (replica is null) process.Machine.RequestByName(now, call, group, order, body, mode, count, timeout);
                else process.Machine.Request(now, call, replica.Id, order, body, mode, count, timeout);
            });
        }
    }

    private void Promise(SentMessage message, Outcome outcome)
    {
        if (outcome != Outcome.Done) return;
        if (cluster.GroupOf(message.Marker) is { } group) cluster.Durable.Promise(group, [message.Marker], cluster.MembersOf(group));
        else cluster.Violate($"{process.Id}: {message} is said to be delivered, but nobody got it.");
    }

    public void Flush() => process.Call(now =>
    {
        // What was asked for and handled before the call must outlive everything that leaves a member alive, once the call is done.
        (GroupReplica Replica, ulong[] Handled, ulong[] Asked)[] before =
            [.. Replicas.Select(replica => (replica, replica.HandledMarkers.ToArray(), replica.Asked.ToArray()))];
        long call = Calls.Begin("flush", outcome =>
        {
            if (outcome != Outcome.Done) return;
            foreach ((GroupReplica replica, ulong[] handled, ulong[] asked) in before)
            {
                HashSet<ulong> sent = [.. replica.Sent];
                if (replicas.ContainsValue(replica) && asked.FirstOrDefault(marker => !sent.Contains(marker) && !givenUp.Contains(marker)) is var waiting and not 0)
                    cluster.Violate($"{process.Id}: a flush ended, but {cluster.FindAnnounced(waiting)}, asked for before it, has not left.");
                // Where components meet, those of the other sides get it with this side's state only.
                View view = replica.View!;
                cluster.Durable.Promise(replica.Id, handled.Concat(asked.Where(sent.Contains)), view.Sides.FirstOrDefault(s => s.Contains(process.Id), view.Members));
            }
        });
        process.Machine.Flush(now, call);
    });

    public void ForcePrimary()
    {
        long call = Calls.Begin("force a primary");
        process.Call(now => process.Machine.ForcePrimary(now, call));
    }

    public void Stop()
    {
        if (IsStopping) return;
        IsStopping = true;
        process.Call(process.Machine.Stop);
    }

    public void OnJoined(long call, GroupId group, string name)
    {
        Calls.OnJoined(call);
        if (!joining.Remove(name)) cluster.Violate($"{process.Id} joined {name}, which it did not ask for.");
        if (!replicas.TryAdd(group, new GroupReplica(group, name))) cluster.Violate($"{process.Id} joined {name} twice.");
        if (!wanted.Contains(name)) Leave(name);
    }

    public void OnView(View view)
    {
        if (Expect(view.Group, "a view") is not { } replica) return;
        if (!view.Contains(process.Id)) cluster.Violate($"{process.Id} got view {view.Number} of {view.GroupName}, of which it is no member.");
        if (replica.View is null) Moves.OnFirstView(view);
        replica.View = view;
    }

    public void OnLoadState(GroupId group, ReadOnlyMemory<byte>? state)
    {
        if (Expect(group, "a state") is not { } replica) return;
        if (replica.WasGivenState) cluster.Violate($"{process.Id} was given the state of {replica.Name} twice.");
        if (state is not null && strangers.Contains(replica.Name)) cluster.Violate($"{process.Id} got the state of {replica.Name} with the credentials of a stranger.");
        if (replica.View is null) cluster.Violate($"{process.Id} was given the state of {replica.Name} before a view.");
        replica.WasGivenState = true;
        if (state is null) cluster.Durable.BeginGroup(group);
        HandOver(replica, () => Hold(replica, profile.StateTime, () =>
        {
            bool fails = state is not null && random.Chance(profile.StateFailureChance);
            if (state is { } bytes && !fails && !replica.TryLoad(bytes)) cluster.Violate($"{process.Id} got a damaged state of {replica.Name}.");
            replica.IsLoaded = !fails;
            process.Call(now => process.Machine.StateLoaded(now, group, !fails));
        }));
    }

    public void OnReconcile(GroupId group, ImmutableArray<SideState> sides)
    {
        if (Expect(group, "the states of its sides") is not { } replica) return;
        if (replica.View is not { } view || !view.Sides.SelectMany(s => s).SequenceEqual(sides.SelectMany(s => s.Members)))
            cluster.Violate($"{process.Id} is to reconcile sides of {replica.Name} that are not those of its view.");
        cluster.Coverage.Merges++;
        HandOver(replica, () => Hold(replica, profile.StateTime, () =>
        {
            if (!replica.TryReconcile([.. sides.Where(s => s.State is not null).Select(s => s.State!.Value)]))
                cluster.Violate($"{process.Id} got a damaged state of a side of {replica.Name}.");
            process.Call(now => process.Machine.StateLoaded(now, replica.Id, true));
        }));
    }

    public void OnRenamed(GroupId before, GroupId after)
    {
        if (!replicas.Remove(before, out GroupReplica? replica))
        {
            cluster.Violate($"{process.Id} is told that {before} is {after} now, and is no member of it.");
            return;
        }
        replica.Id = after;
        replicas.Add(after, replica);
        cluster.Durable.Rename(before, after);
    }

    public void OnConfigured(GroupId group, string key, string? value)
    {
        if (Expect(group, "configuration data") is not { } replica) return;
        bool isTransferred = !replica.WasGivenState;
        HandOver(replica, () => replica.Configure(key, value, isTransferred));
    }

    public void OnSaveState(GroupId group, long token) => OnSaveState(group, token, isWhole: false);

    public void OnSaveState(GroupId group, long token, bool isWhole)
    {
        if (Expect(group, "a call for its state") is not { } replica) return;
        HandOver(replica, () =>
        {
            // Not a byte[]?: a null array converts to an empty state, not to none.
            ReadOnlyMemory<byte>? state = null;
            if (replica.IsLoaded && !random.Chance(profile.StateFailureChance)) state = replica.Save(profile.StateBallast);
            if (state is { } whole && profile.StreamsState && !isWhole)
            {
                streams.Add(token, whole);
                process.Call(now => process.Machine.StateOpened(now, group, token, whole.Length));
            }
            else Hold(replica, profile.StateTime, () => process.Call(now => process.Machine.StateSaved(now, token, state)));
        });
    }

    public void OnReadState(GroupId group, long token) => streams.OnRead(token);

    public void OnEndState(long token) => streams.OnEnd(token);

    public void OnStreamState(GroupId group, StateStep step, ReadOnlyMemory<byte> piece)
    {
        if (streams.OnStep(group, step, piece) is { } whole) OnLoadState(group, whole);
    }

    public void OnDelivery(Delivery delivery)
    {
        bool isCopy = delivery.Spread?.IsReplyCopy == true;
        ReadOnlyMemory<byte> content = isCopy ? AnswerChoice.CopyIn(delivery.Body, cluster) : delivery.Body;
        if (!MessageBody.TryRead(content.Span, out ulong marker, out int hops, out bool mayIgnore)
            || cluster.Identify(delivery.Message, marker, delivery.Group) is not { } sent || sent.Order != delivery.Order
            || !IsFrom(delivery.From, sent) || Math.Max(sent.Size, MessageBody.MinimumSize) != content.Length || sent.Spread?.Label != delivery.Spread?.Label)
        {
            cluster.Violate($"{process.Id} got {delivery.Message} from {delivery.From} in {delivery.Group}, which is not what was sent.");
            return;
        }
        if (delivery.Group == GroupId.None)
        {
            if (sent.Spread?.To.Contains(process.Id.Name) != true) cluster.Violate($"{process.Id} got {sent} as a single process, which it does not go to.");
            if (!alone.Add(marker)) cluster.Violate($"{process.Id} got {sent} twice.");
            return;
        }
        if (Expect(delivery.Group, $"message {delivery.Message}") is not { } replica) return;
        if (!replica.WasGivenState) cluster.Violate($"{process.Id} got {delivery.Message} in {replica.Name} before the state.");
        if (isCopy) cluster.Coverage.ReplyCopies++;
        if (sent.Asked == 0 && cluster.Clients.Any(c => c.Name == sent.Sender.Name)) cluster.ClientOrder.OnDelivered(process.Id, replica, sent);
        ImmutableArray<GroupId> told = delivery.Spread?.Groups ?? [delivery.Group];
        // A group that this node joined since has the message in its state, or is another one of the same name.
        if (Replicas.Any(r => told.Contains(r.Id) && !sent.GoesTo(r.Name)) || (sent.Spread is null && told is not [_]))
            cluster.Violate($"{process.Id} got {sent} in other groups than it was sent to.");
        if (told.Length > 1 && Replicas.Any(r => told.Contains(r.Id) && !r.IsLoaded))
            cluster.Violate($"{process.Id} got {sent} while a state that it does not hold is being loaded.");
        foreach (GroupReplica other in Replicas.Where(r => r != replica && told.Contains(r.Id)).ToArray()) HandOver(other, () => Apply(other, delivery, marker));
        HandOver(replica, () => Hold(replica, profile.HandlingTime, () => Handle(replica, delivery, marker, hops, mayIgnore)));
    }

    // A client that was forgotten goes on under another identity, with the calls that had not left.
    private static bool IsFrom(NodeId from, SentMessage sent) => from == sent.Sender || (from.Name == sent.Sender.Name && (from.Name.StartsWith("client", StringComparison.Ordinal) || from.Name.StartsWith('/')));

    private void Apply(GroupReplica replica, in Delivery delivery, ulong marker)
    {
        MessageId id = delivery.Message;
        bool isOrdered = delivery.Order is Order.Total or Order.CausalTotal or Order.Safe or Order.Group;
        if (!isOrdered && delivery.From.Name.StartsWith('/'))
        {
            // Of the requests of a group that asks as one, each member may get another one first.
            id = new MessageId(new NodeId(delivery.From.Name, 0), 0, (long)marker);
            cluster.Identify(id, marker, replica.Id);
        }
        if (!replica.Apply(id, isOrdered && delivery.Spread?.Label is null, marker)) cluster.Violate($"{process.Id} got {delivery.Message} in {replica.Name} twice.");
    }

    public void OnGroupLeft(GroupId group, GroupEnd end)
    {
        if (end == GroupEnd.Deleted) cluster.Durable.EndGroup(group);
        if (!replicas.Remove(group, out GroupReplica? replica)) return;
        replica.Inbox.Clear();
        replica.GiveUpWaiting();
        if (wanted.Contains(replica.Name)) JoinLater(replica.Name);
    }

    public void OnCreditReleased(GroupId group, long bytes)
    {
        if (!replicas.TryGetValue(group, out GroupReplica? replica)) return;
        replica.Release(bytes, seat.CreditWindow);
        if (replica.CreditUsed < 0) cluster.Violate($"{process.Id} got back more credit in {replica.Name} than it had used.");
    }

    public void OnSent(long call, MessageId message) => Calls.OnSent(call, message);

    public void OnCompleted(long call, Outcome outcome) => Calls.OnCompleted(call, outcome);

    public void OnRequestCompleted(long call, Outcome outcome, IReadOnlyList<ReplyItem> replies, IReadOnlyList<NodeId> failed) =>
        Calls.OnRequestCompleted(call, outcome, replies, failed);

    public void OnProcessEnded(ProcessEnd how) { }

    private void Handle(GroupReplica replica, in Delivery delivery, ulong marker, int hops, bool mayIgnore)
    {
        // What was passed on to one member is no part of the state that all have.
        if (delivery.Spread?.PassedOnBy is null) Apply(replica, delivery, marker);
        else if (!alone.Add(marker)) cluster.Violate($"{process.Id} got {delivery.Message}, which was passed on, twice.");
        process.Call(now => process.Machine.Consumed(now, replica.Id, 1));
        if (delivery.ReplyToken != 0) Answering.Answer(replica, delivery, marker, mayIgnore);
        if (hops < MaximumHops && random.Chance(profile.EchoChance))
            Send(replica.Name, random.Pick(profile.Orders), MessageBody.MinimumSize, hops + 1);
    }

    private GroupReplica? Expect(GroupId group, string what)
    {
        if (replicas.TryGetValue(group, out GroupReplica? replica)) return replica;
        cluster.Violate($"{process.Id} was given {what} of group {group}, of which it is no member.");
        return null;
    }

    /// <summary>Puts an act at its place in the delivery order of the group.</summary>
    private void HandOver(GroupReplica replica, Action act)
    {
        replica.Inbox.Enqueue(act);
        HandleNext(replica);
    }

    private static void HandleNext(GroupReplica replica)
    {
        while (!replica.IsBusy && replica.Inbox.TryDequeue(out Action? act)) act();
    }

    /// <summary>Does the act after a random time, and nothing else of the group in between.</summary>
    private void Hold(GroupReplica replica, TimeSpan atMost, Action act)
    {
        if (atMost == TimeSpan.Zero)
        {
            act();
            return;
        }
        replica.IsBusy = true;
        process.After(random.Between(TimeSpan.Zero, atMost), () =>
        {
            replica.IsBusy = false;
            if (!replicas.TryGetValue(replica.Id, out GroupReplica? now) || now != replica) return;
            act();
            HandleNext(replica);
        });
    }

    public void WithCredit(GroupReplica replica, int size, Action send) => replica.WithCredit(seat.CreditWindow, size, send);

    private void JoinFailed(string group, Outcome outcome)
    {
        joining.Remove(group);
        cluster.Log(process.Id, $"join of {group} failed: {outcome}");
        if (outcome is not (Outcome.Excluded or Outcome.Stopped) && wanted.Contains(group)) JoinLater(group);
    }

    private void JoinLater(string group) => process.After(random.Between(TimeSpan.FromMilliseconds(1), TimeSpan.FromMilliseconds(100)), () =>
    {
        if (wanted.Contains(group)) Join(group);
    });
}

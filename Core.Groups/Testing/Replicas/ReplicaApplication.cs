// The application of one simulated process that holds replicas: joins the wanted groups, and feeds their replicas in its own time.
using Core.Groups.Protocol;
using Core.Groups.Replication;
using Core.Groups.Testing.Simulation;

namespace Core.Groups.Testing.Replicas;

/// <summary>The replicas of one incarnation.</summary>
internal sealed class ReplicaApplication(ApplicationSeat seat, Func<SimulatedProcess, string, ReplicaSite> siteOf) : ISimulatedApplication
{
    private static readonly TimeSpan LongestRetry = TimeSpan.FromMilliseconds(100);

    private readonly Dictionary<string, ReplicaSlot> _slots = new(StringComparer.Ordinal);
    private readonly SortedSet<string> _joining = new(StringComparer.Ordinal);
    private readonly SortedDictionary<long, Action<CallEnd>> _calls = [];
    private readonly ApplicationProfile _profile = seat.Cluster.Options.Application;
    private long _lastCall;

    /// <summary>How a call of the machine ended.</summary>
    internal readonly record struct CallEnd(Outcome Outcome, IReadOnlyList<ReplyItem> Replies, IReadOnlyList<NodeId> Failed);

    public SimulatedCluster Cluster => seat.Cluster;

    public bool IsStopping { get; private set; }

    public IEnumerable<ReplicaSlot> Slots => _slots.Values.OrderBy(slot => slot.Site.Group, StringComparer.Ordinal);

    private SimulatedProcess Process => seat.Process;

    public IEnumerable<string> Unfinished()
    {
        if (_calls.Count > 0) yield return $"{_calls.Count} calls have not ended";
        foreach (string group in seat.Wanted.Where(group => !_slots.TryGetValue(group, out ReplicaSlot? slot) || !slot.IsLive)) yield return $"no replica of {group}";
        foreach (string unfinished in Slots.SelectMany(slot => slot.Unfinished())) yield return unfinished;
    }

    public void Join(string group)
    {
        if (IsStopping || _slots.ContainsKey(group) || !_joining.Add(group)) return;
        GroupId candidate = new(seat.Random.NextULong(), seat.Random.NextULong());
        long call = Begin(end =>
        {
            if (!_joining.Remove(group)) return; // it ended well
            seat.Cluster.Log(Process.Id, $"join of {group} failed: {end.Outcome}");
            JoinLater(group);
        });
        Process.Call(now => Process.Machine.Join(now, call, group, candidate));
    }

    public void Leave(string group)
    {
        if (!_slots.TryGetValue(group, out ReplicaSlot? slot) || slot.IsLeaving) return;
        slot.IsLeaving = true;
        long call = Begin(_ => { });
        Process.Call(now => Process.Machine.Leave(now, call, slot.Id));
    }

    public void Stop()
    {
        if (IsStopping) return;
        IsStopping = true;
        Process.Call(Process.Machine.Stop);
    }

    /// <summary>Asks a group by its name, as a node that need not be a member.</summary>
    public void Request(string group, Order order, ReadOnlyMemory<byte> body, ReplyMode mode, int count, TimeSpan? timeout, Action<CallEnd> ended)
    {
        long call = Begin(ended);
        Process.Call(now => Process.Machine.RequestByName(now, call, group, order, body, mode, count, timeout));
    }

    public void Flush(TimeSpan now, ReplicaSlot slot, long number)
    {
        long call = Begin(end =>
        {
            slot.Flushes--;
            if (end.Outcome == Outcome.Done) slot.Call(replica => replica.OnFlushed(number));
        });
        Process.Machine.Flush(now, call);
    }

    // ---- effects

    public void OnJoined(long call, GroupId group, string name)
    {
        _calls.Remove(call);
        if (!_joining.Remove(name)) seat.Cluster.Violate($"{Process.Id} joined {name}, which it did not ask for.");
        _slots.Add(name, new ReplicaSlot(seat, siteOf(Process, name), group));
        if (!seat.Wanted.Contains(name)) Leave(name);
    }

    public void OnView(View view)
    {
        if (Expect(view.Group, "a view") is not { } slot) return;
        slot.HandOver(() =>
        {
            if (slot.IsLive) slot.OnView(view);
            else slot.ViewBeforeState = view;
        });
    }

    public void OnLoadState(GroupId group, ReadOnlyMemory<byte>? state)
    {
        if (Expect(group, "a state") is not { } slot) return;
        slot.HandOver(() => slot.Hold(_profile.StateTime, () =>
        {
            bool fails = state is not null && seat.Random.Chance(_profile.StateFailureChance);
            if (!fails && !slot.HasLeft)
            {
                slot.Begin(replica =>
                {
                    if (state is { } bytes) replica.Load(bytes);
                    else replica.Initialize();
                });
            }

            Process.Call(now => Process.Machine.StateLoaded(now, group, !fails));
        }));
    }

    public void OnSaveState(GroupId group, long token)
    {
        if (Expect(group, "a call for its state") is not { } slot) return;
        slot.HandOver(() =>
        {
            // Not a byte[]?: a null array converts to an empty state, not to none.
            ReadOnlyMemory<byte>? state = null;
            if (!seat.Random.Chance(_profile.StateFailureChance)) slot.Call(replica => state = replica.Save());
            slot.Hold(_profile.StateTime, () => Process.Call(now => Process.Machine.StateSaved(now, token, state)));
        });
    }

    public void OnDelivery(Delivery delivery)
    {
        if (Expect(delivery.Group, $"message {delivery.Message}") is not { } slot) return;
        slot.HandOver(() => slot.Hold(_profile.HandlingTime, () =>
        {
            slot.Call(replica =>
            {
                var message = new ReplicaMessage { From = delivery.From, Order = delivery.Order, Body = delivery.Body };
                if (delivery.ReplyToken == 0) replica.OnMessage(message);
                else replica.OnRequest(message, delivery.ReplyToken);
            });
            Process.Call(now => Process.Machine.Consumed(now, delivery.Group, 1));
        }));
    }

    public void OnGroupLeft(GroupId group, GroupEnd end)
    {
        if (Find(group) is not { } slot) return;
        slot.HasLeft = true;
        slot.HandOver(() =>
        {
            slot.End(end == GroupEnd.Deleted ? MembershipEnd.Deleted : IsStopping ? MembershipEnd.Stopped : MembershipEnd.Left);
            _slots.Remove(slot.Site.Group);
            JoinLater(slot.Site.Group);
        });
    }

    public void OnCreditReleased(GroupId group, long bytes) => Find(group)?.OnCreditReleased(bytes);

    public void OnConfigured(GroupId group, string key, string? value) { }

    public void OnSent(long call, MessageId message) => OnCompleted(call, Outcome.Done);

    public void OnCompleted(long call, Outcome outcome) => OnRequestCompleted(call, outcome, [], []);

    public void OnRequestCompleted(long call, Outcome outcome, IReadOnlyList<ReplyItem> replies, IReadOnlyList<NodeId> failed)
    {
        if (_calls.Remove(call, out Action<CallEnd>? ended)) ended(new CallEnd(outcome, replies, failed));
    }

    public void OnProcessEnded(ProcessEnd how)
    {
        bool isExcluded = how == ProcessEnd.Excluded;
        foreach (ReplicaSlot slot in Slots.ToArray()) slot.End(isExcluded ? MembershipEnd.Excluded : MembershipEnd.Stopped);
        foreach (Action<CallEnd> ended in _calls.Values.ToArray()) ended(new CallEnd(isExcluded ? Outcome.Excluded : Outcome.Stopped, [], []));
        _calls.Clear();
    }

    private long Begin(Action<CallEnd> ended)
    {
        _calls.Add(++_lastCall, ended);
        return _lastCall;
    }

    private ReplicaSlot? Find(GroupId group) => _slots.Values.FirstOrDefault(slot => slot.Id == group && !slot.HasLeft);

    private ReplicaSlot? Expect(GroupId group, string what)
    {
        if (Find(group) is { } slot) return slot;
        seat.Cluster.Violate($"{Process.Id} was given {what} of group {group}, of which it is no member.");
        return null;
    }

    private void JoinLater(string group) => Process.After(seat.Random.Between(TimeSpan.FromMilliseconds(1), LongestRetry), () =>
    {
        if (seat.Wanted.Contains(group)) Join(group);
    });
}

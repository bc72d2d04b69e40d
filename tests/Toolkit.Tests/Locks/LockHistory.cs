// Random calls on one kind of lock in a simulated cluster, and the judge of what came of them.
// Keeps: exclusion is judged at each grant against every hold that was not given up, unless its node was out of the view by then; what stands in
// the queue at rest must be known to its caller, and no one waits who could hold.
using System.Globalization;
using Core.Groups;
using Core.Groups.Replication;
using Core.Groups.Testing.Histories;
using Core.Groups.Testing.Replicas;
using Core.Groups.Testing.Simulation;
using Toolkit.Locks.Replicas;

namespace Toolkit.Tests.Locks;

/// <summary>One run. <paramref name="create"/> and <paramref name="permits"/> say what is tested.</summary>
internal sealed class LockHistory(Func<Func<long>, QueueReplica> create, long permits)
{
    private readonly List<Call> _calls = [];
    private readonly Dictionary<ReplicaSite, List<Call>> _live = [];
    private readonly Dictionary<long, NodeId> _tokens = [];
    private SimulationRandom _random = null!;

    public int Grants { get; private set; }
    public int LocalReads { get; private set; }
    public int Refused { get; private set; }
    public int Withdrawn { get; private set; }
    public int Ended { get; private set; }
    public int Pulsed { get; private set; }

    public ReplicaWorkload<QueueReplica> Workload => new() { Create = site => create(() => site.Now.Ticks / TimeSpan.TicksPerMicrosecond), Act = Act, Check = Check };

    /// <summary>What the clients of a mutex saw, as a linearizable history must explain it. Holds that were not released may be over at any time.</summary>
    public string? CheckLinearizable()
    {
        var history = new List<TimedCall<(bool IsRelease, long Token)>>();
        foreach (Call call in _calls)
        {
            foreach (Hold hold in call.Holds)
            {
                history.Add(new(call.Site.Node, hold.Asked, hold.Told, (false, hold.Token)));
                // Out of a later holder's view it was over before its client gave it up: a leaver hears of its leave last.
                bool isSure = hold.Released is not null && !_calls.Exists(c => c.Holds.Exists(h => h.Token > hold.Token && !h.View.Contains(hold.Node)));
                history.Add(isSure
                    ? new(call.Site.Node, hold.Released!.Value, hold.Released.Value, (true, hold.Token))
                    : new(call.Site.Node, hold.Asked, TimedCall<(bool, long)>.NeverAnswered, (true, hold.Token)));
            }
        }

        return LinearizabilityChecker.Check(new MutexModel(), history);
    }

    private void Act(ReplicaSite<QueueReplica> site, SimulationRandom random)
    {
        _random = random;
        List<Call> live = LiveAt(site);
        Call? some = live.Count > 0 ? live[random.Below(live.Count)] : null;
        site.Run(replica =>
        {
            if (some is { IsHeld: true } && random.Chance(0.3))
            {
                GiveUp(replica, some);
            }
            else if (some is { IsHeld: false } && random.Chance(0.3))
            {
                if (some.IsInCondition && random.Chance(0.7))
                {
                    ((LockReplica)replica).EndWait(some.Number);
                    return;
                }

                Withdrawn++;
                GiveUp(replica, some);
            }
            else if (live.Count < 4)
            {
                Ask(site, replica, random);
            }
        });
    }

    private void Ask(ReplicaSite<QueueReplica> site, QueueReplica replica, SimulationRandom random)
    {
        bool isShared = replica is ReadWriteReplica && random.Chance(0.7);
        var call = new Call(this, site, permits > 1 ? random.Between(1, (int)permits) : 1, isShared) { Asked = Stamp(site) };
        _calls.Add(call);
        LiveAt(site).Add(call);
        if (isShared && ((ReadWriteReplica)replica).TryReadLocally(call, out long number, out long token))
        {
            LocalReads++;
            call.Number = number;
            OnGranted(call, token);
            return;
        }

        call.Number = replica.Ask(call, call.Weight, isShared, isTry: random.Chance(0.2));
    }

    // Most holds are short; some wait for a condition in between, or pulse it.
    private void OnTime(QueueReplica replica, Call call, Hold hold)
    {
        if (!call.IsHeld || call.Holds[^1] != hold) return;
        if (replica is LockReplica monitor && permits == 1 && _random.Chance(0.4)) UseConditions(monitor, call, _random);
        if (call.IsHeld && _random.Chance(0.9)) GiveUp(replica, call);
    }

    private void UseConditions(LockReplica monitor, Call call, SimulationRandom random)
    {
        if (random.Chance(0.5))
        {
            if (!monitor.Pulse(call.Number, "c", random.Chance(0.5) ? 1 : 3)) call.Site.Violate("a holder cannot pulse");
            return;
        }

        call.Holds[^1].Released = Stamp(call.Site);
        call.IsHeld = false;
        call.IsInCondition = true;
        call.Asked = Stamp(call.Site);
        if (!monitor.Wait(call.Number, "c")) call.Site.Violate("a holder cannot wait");
    }

    private void GiveUp(QueueReplica replica, Call call)
    {
        if (call.IsHeld) call.Holds[^1].Released = Stamp(call.Site);
        call.IsHeld = false;
        LiveAt(call.Site).Remove(call);
        if (!replica.Release(call.Number)) call.Site.Violate($"call {call.Number} was not there to be released");
    }

    private void OnGranted(Call call, long token)
    {
        Grants++;
        ReplicaSite site = call.Site;
        View view = site.Slot!.View;
        if (!view.Contains(site.Self)) site.Violate("granted in a view without the holder");
        if (!call.IsShared && !_tokens.TryAdd(token, site.Self)) site.Violate(string.Create(CultureInfo.InvariantCulture, $"token {token} was given twice"));
        call.Holds.Add(new Hold(call.Asked, Stamp(site), token, site.Self, view));
        call.IsHeld = true;
        call.IsInCondition = false;
        Hold granted = call.Holds[^1];
        call.Site.After(TimeSpan.FromMilliseconds(_random.Below(20)), replica => OnTime(replica, call, granted));

        // Who stands before this one and has given nothing up holds with it, if the one that comes later could see the other.
        long held = 0;
        foreach (Call other in _calls)
        {
            if (other.Holds.LastOrDefault() is not { Released: null, IsOver: false } hold || (other != call && !SeesOneAnother(hold, call.Holds[^1]))) continue;
            if (other != call && (call.IsShared != other.IsShared || (!call.IsShared && permits == 1)))
                site.Violate($"{call} is granted while {other} holds");
            held += other.Weight;
        }

        if (!call.IsShared && held > permits) site.Violate($"{call} is granted, and {held} permits are held of {permits}");
    }

    // A holder that was out of the other's view had lost its hold when the other was granted, though it may not know.
    private static bool SeesOneAnother(Hold before, Hold now) => before.Token <= now.Token ? now.View.Contains(before.Node) : before.View.Contains(now.Node);

    private IEnumerable<string> Check(IReadOnlyList<ReplicaSite<QueueReplica>> members)
    {
        QueueState? first = null;
        members.FirstOrDefault()?.Run(replica => first = replica.Look());
        if (first is not { } state) yield break;
        List<Call> live = [.. members.SelectMany(LiveAt)];
        foreach (Request request in state.Holders.Concat(state.Waiting))
        {
            Call? call = live.Find(c => c.Number == request.Call && c.Site.Self == request.Node);
            if (call is null) yield return $"Call {request.Call} of {request.Node} was left behind in the queue.";
            else if (call.IsHeld != state.Holders.Contains(request)) yield return $"{call} is {(call.IsHeld ? "held" : "waiting")} at its node, and not at {members[0].Node}.";
        }

        foreach (Call call in live.Where(c => !c.IsInCondition && !state.Holders.Concat(state.Waiting).Any(r => r.Call == c.Number && r.Node == c.Site.Self)))
            yield return $"{call} is in no queue: it would wait for ever, or holds what another can hold.";
        long held = state.Holders.Sum(h => (long)h.Weight);
        if (state.Waiting.Length > 0 && (state.Holders.Length == 0 || (permits > 1 && held + state.Waiting[0].Weight <= permits)))
            yield return $"{state.Waiting[0].Node} waits for what is free.";
    }

    private List<Call> LiveAt(ReplicaSite site)
    {
        if (!_live.TryGetValue(site, out List<Call>? live)) _live.Add(site, live = []);
        live.RemoveAll(c => c.IsOver || c.Incarnation != site.Self);
        return live;
    }

    private static long Stamp(ReplicaSite site) => site.Now.Ticks;

    /// <summary>One time that a call held.</summary>
    private sealed class Hold(long asked, long told, long token, NodeId node, View view)
    {
        public long Asked => asked;
        public long Told => told;
        public long Token => token;
        public NodeId Node => node;
        public View View => view;
        public long? Released { get; set; }
        public bool IsOver { get; set; }
    }

    private sealed class Call(LockHistory history, ReplicaSite<QueueReplica> site, int weight, bool isShared) : ILockWaiter
    {
        public ReplicaSite<QueueReplica> Site => site;
        public NodeId Incarnation { get; } = site.Self;
        public int Weight => weight;
        public bool IsShared => isShared;
        public long Number { get; set; }
        public long Asked { get; set; }
        public bool IsHeld { get; set; }
        public bool IsInCondition { get; set; }
        public bool IsOver { get; private set; }
        public List<Hold> Holds { get; } = [];

        public void Granted(long token, bool pulsed)
        {
            history.Pulsed += pulsed ? 1 : 0;
            history.OnGranted(this, token);
        }

        public void Refused()
        {
            history.Refused++;
            IsOver = true;
        }

        public void Lost() => site.Violate("nobody gave holds up");

        public void Ended(MembershipEnd end)
        {
            history.Ended++;
            IsOver = true;
            if (Holds.Count > 0) Holds[^1].IsOver = true;
        }

        public override string ToString() => $"{(isShared ? "a read" : "a hold")} of {Incarnation} (call {Number}, token {Holds.LastOrDefault()?.Token})";
    }

    private sealed class MutexModel : ISequentialModel<(long Last, bool IsHeld), (bool IsRelease, long Token)>
    {
        public (long Last, bool IsHeld) Initial => (0, false);

        public bool TryStep((long Last, bool IsHeld) state, (bool IsRelease, long Token) call, bool answered, out (long Last, bool IsHeld) next)
        {
            next = (call.Token, !call.IsRelease);
            return call.IsRelease ? state == (call.Token, true) : !state.IsHeld && call.Token > state.Last;
        }
    }
}

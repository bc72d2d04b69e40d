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
    private readonly List<Pulse> _pulses = [];
    private readonly List<Wait> _waits = [];
    private SimulationRandom _random = null!;

    public int Grants { get; private set; }
    public int LocalReads { get; private set; }
    public int Refused { get; private set; }
    public int Withdrawn { get; private set; }
    public int Ended { get; private set; }
    public int Pulsed { get; private set; }

    public ReplicaWorkload<QueueReplica> Workload => new() { Create = site => create(() => site.Now.Ticks / TimeSpan.TicksPerMicrosecond), Act = Act, Check = Check };

    /// <summary>What the clients saw, as a linearizable history must explain it. Holds that were not released may be over at any time.</summary>
    public string? CheckLinearizable()
    {
        // An object that was made anew is another one: who is cut off in that moment may not know it yet.
        var histories = new Dictionary<GroupId, List<TimedCall<HoldCall>>>();
        foreach (Call call in _calls)
        {
            foreach (Hold hold in call.Holds)
            {
                // Out of a later holder's view it was over before its client gave it up: a leaver hears of its leave last.
                bool isLate = _calls.Exists(c => c.Holds.Exists(h => h.View.Group == hold.View.Group && (h.Token, c.IsShared ? 1 : 0).CompareTo((hold.Token, call.IsShared ? 1 : 0)) > 0 && !h.View.Contains(hold.Node)));
                if (isLate && call.IsLocal) continue; // it was cut off, and could not know: no message is needed for a local read
                if (!histories.TryGetValue(hold.View.Group, out List<TimedCall<HoldCall>>? history)) histories.Add(hold.View.Group, history = []);
                int number = history.Count;
                history.Add(new(call.Site.Node, hold.Asked, hold.Told, new(number, false, call.IsShared, hold.Token, call.Weight)));
                bool isSure = hold.Released is not null && !isLate;
                long released = isSure ? hold.Released!.Value : TimedCall<HoldCall>.NeverAnswered;
                history.Add(new(call.Site.Node, isSure ? released : hold.Asked, released, new(number, true, call.IsShared, hold.Token, call.Weight)));
            }
        }

        return histories.Values.Select(history => LinearizabilityChecker.Check(new HoldModel(permits), history)).FirstOrDefault(wrong => wrong is not null);
    }

    /// <summary>Who asked first at a node holds by the lower ticket.</summary>
    public string? CheckFairness() => FairnessChecker.Check(
        _calls.Where(c => !c.IsShared && c.Holds.Count > 0).Select(c => (c.Incarnation, c.Number, c.Holds[0].Token)));

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
            call.IsLocal = true;
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
            int count = random.Chance(0.5) ? 1 : 3;
            if (!monitor.Pulse(call.Number, "c", count)) call.Site.Violate("a holder cannot pulse");
            _pulses.Add(new Pulse(call.Site, call.Incarnation, call.Holds[^1].Token, count));
            return;
        }

        call.Holds[^1].Released = Stamp(call.Site);
        call.IsHeld = false;
        call.IsInCondition = true;
        _waits.Add(call.Wait = new Wait(call.Holds[^1].Token));
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
        if (FairnessChecker.Check(call.Site.Replica!.Look(), call.IsLocal) is { } unfair) site.Violate($"{unfair} when {call} is granted");
        call.Holds.Add(new Hold(call.Asked, Stamp(site), token, site.Self, view));
        call.IsHeld = true;
        call.IsInCondition = false;
        Hold granted = call.Holds[^1];
        call.Site.After(TimeSpan.FromMilliseconds(_random.Below(20)), replica => OnTime(replica, call, granted));

        // Who stands before this one and has given nothing up holds with it, if the one that comes later could see the other.
        long held = 0;
        foreach (Call other in _calls)
        {
            if (other.Holds.LastOrDefault() is not { Released: null, IsOver: false } hold || (other != call && !SeesOneAnother(other, call))) continue;
            if (other != call && (call.IsShared != other.IsShared || (!call.IsShared && permits == 1)))
                site.Violate($"{call} is granted while {other} holds");
            held += other.Weight;
        }

        if (!call.IsShared && held > permits) site.Violate($"{call} is granted, and {held} permits are held of {permits}");
    }

    // A holder that was out of the other's view had lost its hold when the other was granted, though it may not know. A reader has
    // the token of the writer before it.
    private static bool SeesOneAnother(Call one, Call two)
    {
        (Hold first, Hold second) = (one.Holds[^1], two.Holds[^1]);
        bool isInOrder = first.Token != second.Token ? first.Token < second.Token : two.IsShared;
        return isInOrder ? second.View.Contains(first.Node) : first.View.Contains(second.Node);
    }

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
        foreach (Call waiter in live.Where(c => c.IsInCondition && !state.Waiting.Any(r => r.Call == c.Number && r.Node == c.Incarnation) && c.Wait!.IsLost(_pulses.Where(p => p.Site.IsMember && p.Site.Self == p.By), _waits)))
            yield return $"{waiter} still waits for its condition, though it was pulsed often enough.";
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
        public bool IsLocal { get; set; }
        public long Number { get; set; }
        public long Asked { get; set; }
        public bool IsHeld { get; set; }
        public bool IsInCondition { get; set; }
        public bool IsOver { get; private set; }
        public List<Hold> Holds { get; } = [];
        /// <summary>The last wait for a condition.</summary>
        public Wait? Wait { get; set; }

        public void Granted(long token, bool pulsed)
        {
            history.Pulsed += pulsed ? 1 : 0;
            if (Wait is { Woken: null } wait) wait.Woken = pulsed ? token : Wait.Unknown;
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

    /// <summary>A pulse of the condition by the holder of a token.</summary>
    private sealed record Pulse(ReplicaSite Site, NodeId By, long Token, int Count);

    /// <summary>A wait for the condition, begun by the holder of a token.</summary>
    private sealed class Wait(long token)
    {
        public const long Unknown = -1;

        public long Token => token;

        /// <summary>The token of the hold that a pulse led to; <see cref="Unknown"/>: it ended otherwise. Null: it may have ended, or waits.</summary>
        public long? Woken { get; set; }

        /// <summary>A wait that has not ended was not passed over: pulses after its beginning have all woken others.</summary>
        public bool IsLost(IEnumerable<Pulse> pulses, List<Wait> waits)
        {
            Pulse[] later = [.. pulses.Where(p => p.Token > token)];
            if (later.Length == 0) return false;
            int others = waits.Count(w => w != this && w.Token < later.Max(p => p.Token) && (w.Woken is null or Unknown || w.Woken > later.Min(p => p.Token)));
            return later.Sum(p => p.Count) > others;
        }
    }
}

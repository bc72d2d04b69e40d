// What clients of a space did and saw in one simulated run, and what is wrong with it.
// Judged: linearizability of the total variable, versions, causal consistency, lost additions, serializability, the sum of the bank.
using System.Text;
using Core.Groups;
using Core.Groups.Replication;
using Core.Groups.Testing.Histories;
using Core.Groups.Testing.Replicas;
using Core.Groups.Testing.Simulation;
using Toolkit.ReplicatedData;
using Toolkit.ReplicatedData.Space;

namespace Toolkit.Tests.ReplicatedData;

/// <summary>What a program that does it wrong would do: it must be found.</summary>
internal enum Weakness
{
    None,
    LocalReadsAreTakenForLinearizable,
    TransactionsReadBeforeTheyLock,
    TransactionsWriteHalf,
    WritersHaveSeenWhatIsNotThere,
    AdditionsAreLost,
    GivenUpIsMadeAllTheSame,
}

/// <summary>One call on the total variable, with its answer.</summary>
internal readonly record struct VariableCall(char Kind, string Value, string? Expected = null, bool Applied = true)
{
    public override string ToString() => Kind switch
    {
        'r' => $"read {Value}",
        'c' => $"swap {Expected} for {Value}: {Applied}",
        _ => $"set {Value}",
    };
}

/// <summary>A variable whose values are all different.</summary>
internal sealed class VariableModel : ISequentialModel<string, VariableCall>
{
    public string Initial => "";

    public bool TryStep(string state, VariableCall call, bool answered, out string next)
    {
        bool swaps = call.Kind == 'w' || (call.Kind == 'c' && state == call.Expected);
        next = swaps ? call.Value : state;
        return !answered || call.Kind switch
        {
            'r' => state == call.Value,
            'c' => call.Applied == swaps,
            _ => true,
        };
    }
}

/// <summary>The history of one run. The world has one thread.</summary>
internal sealed class SpaceHistory(Weakness weakness)
{
    public static readonly string[] Accounts = ["p", "q", "r", "s"];
    public const long Initial = 100;

    private readonly Dictionary<GroupId, Lineage> _lineages = [];
    private readonly Dictionary<string, int> _numbers = [];
    private long _clock;
    private long _lastValue;

    public Weakness Weakness { get; } = weakness;
    public int Calls => _lineages.Values.Sum(l => l.Variable.Count);
    public int Transactions => _lineages.Values.Sum(l => l.Committed.Count);
    public int Deadlocks { get; set; }
    public int GivenUp { get; set; }

    public Lineage Of(GroupId group) => _lineages.TryGetValue(group, out Lineage? found) ? found : _lineages[group] = new Lineage();

    public long Tick() => ++_clock;

    public string NextValue() => $"v{++_lastValue}";

    public string NextClient(string node) => $"{node}{_numbers[node] = _numbers.GetValueOrDefault(node) + 1}";

    public IEnumerable<string> Check() => _lineages.Values.SelectMany(l => l.Check());

    /// <summary>What happened while the group lived; when all who held its state are gone, the next begins empty.</summary>
    internal sealed class Lineage
    {
        public List<TimedCall<VariableCall>> Variable { get; } = [];
        public Dictionary<string, long> VersionOf { get; } = new() { [""] = 0 };
        public List<CommittedTransaction> Committed { get; } = [];
        public List<string> Wrong { get; } = [];
        public HashSet<string> GivenUp { get; } = [];
        public long AdditionsMade { get; set; }
        public long AdditionsFlushed { get; set; }

        // All values are different. So who saw the value of a call that was never answered says when it had its effect at the latest.
        // What nobody saw can be left out of any order, but for swaps that failed: it may be why they did, so they go with it.
        private List<TimedCall<VariableCall>> Observable()
        {
            List<TimedCall<VariableCall>> calls = [.. Variable];
            int changes;
            do
            {
                changes = 0;
                var seen = new Dictionary<string, long>();
                foreach (TimedCall<VariableCall> call in calls.Where(c => c.IsAnswered && (c.Call.Kind == 'r' || c.Call is { Expected: not null, Applied: true })))
                {
                    string value = call.Call.Kind == 'r' ? call.Call.Value : call.Call.Expected!;
                    seen[value] = Math.Min(call.End, seen.GetValueOrDefault(value, long.MaxValue));
                }

                for (int i = 0; i < calls.Count; i++)
                {
                    if (calls[i].IsAnswered || !seen.TryGetValue(calls[i].Call.Value, out long end)) continue;
                    calls[i] = calls[i] with { End = end };
                    changes++;
                }
            }
            while (changes > 0);
            long firstUnseen = calls.Where(c => !c.IsAnswered).Select(c => c.Start).DefaultIfEmpty(long.MaxValue).Min();
            calls.RemoveAll(c => !c.IsAnswered || (!c.Call.Applied && c.End > firstUnseen));
            return calls;
        }

        public void SawVersion(string value, long version)
        {
            if (VersionOf.TryAdd(value, version) || VersionOf[value] == version) return;
            Wrong.Add($"'{value}' has version {version}, and had {VersionOf[value]}");
        }

        public IEnumerable<string> Check()
        {
            foreach (string wrong in Wrong) yield return wrong;
            if (LinearizabilityChecker.Check(new VariableModel(), Observable(), mostStates: 20_000_000) is { } calls) yield return calls;
            if (SerializabilityChecker.Check(Committed) is { } circle) yield return circle;
        }
    }
}

/// <summary>The client at one site: makes random calls on the replica and writes down what it is told.</summary>
internal sealed class SpaceDriver(ReplicaSite<SpaceReplica> site, SpaceHistory history) : ISpaceEffects
{
    private static readonly ulong X = SharedObject.IdOf(ObjectKind.Variable, "x");
    private static readonly ulong Bank = SharedObject.IdOf(ObjectKind.Dictionary, "bank");
    private static readonly ulong Counter = SharedObject.IdOf(ObjectKind.Counter, "n");
    private static readonly ulong[] Causal = [.. "cd".Select(name => SharedObject.IdOf(ObjectKind.Variable, name.ToString()))];

    private readonly Dictionary<long, (Action<UpdateResult>? Done, Action? Fenced, Action<Exception>? Failed)> _calls = [];
    private readonly long[] _newest = new long[2];
    private long _lastCall;
    private long _lastTransaction;
    private long _newestX;
    private long _added;
    private bool _isInside; // one of the replica's calls

    private SpaceReplica Replica => site.Replica!;
    private SpaceHistory.Lineage Lineage => history.Of(Replica.Group);

    // ---- random calls

    public void Act(SimulationRandom random)
    {
        if (Replica.Find(Counter) is null)
        {
            foreach ((ObjectKind kind, string name, UpdateMode mode) in new[]
            {
                (ObjectKind.Variable, "x", UpdateMode.Total), (ObjectKind.Dictionary, "bank", UpdateMode.Total), (ObjectKind.Variable, "c", UpdateMode.Causal),
                (ObjectKind.Variable, "d", UpdateMode.Causal), (ObjectKind.Counter, "n", UpdateMode.Causal),
            })
                Do(r => r.Open(NewCall(), kind, name, mode));
            return;
        }

        Look();
        switch (random.Below(13))
        {
            case <= 1: Set(null); break;
            case <= 2: Set(ReadX()); break;
            case <= 4: ReadLinearizably(); break;
            case <= 6: SetCausally(random.Below(2)); break;
            case <= 7: Add(random.Below(10)); break;
            case <= 10: Transact(random); break;
            case <= 11: Mark(SpaceHistory.Accounts[random.Below(4)], random.Below(20)); break;
            default: Audit(random); break;
        }
    }

    /// <summary>What a read here sees must not go back, and every value must come with all that its writer had seen.</summary>
    public void Look()
    {
        if (Replica.Find(X) is null || Causal.Any(id => Replica.Find(id) is null)) return;
        long[] versions = [.. Causal.Select(id => Replica.Find(id)!.Find([])?.Visible.Version ?? 0)];
        for (int i = 0; i < 2; i++)
        {
            if (versions[i] < _newest[i]) Wrong($"a causal variable went back from version {_newest[i]} to {versions[i]}");
            _newest[i] = versions[i];
            if (Replica.Find(Causal[i])!.Find([])?.Visible.Value is not { } value) continue;
            long[] seen = [.. Encoding.UTF8.GetString(value).Split(' ').Select(long.Parse)];
            for (int j = 0; j < 2; j++)
            {
                if (versions[j] < seen[j]) Wrong($"a value of causal variable {i} is here, and not version {seen[j]} of variable {j} that its writer saw, but {versions[j]}");
            }
        }

        long x = ReadX().Version;
        if (x < _newestX) Wrong($"the total variable went back from version {_newestX} to {x}");
        _newestX = x;
    }

    private (string Value, long Version) ReadX() => Replica.Find(X)!.Find([])?.Delivered is { IsPresent: true } cell ? (Encoding.UTF8.GetString(cell.Value!), cell.Version) : ("", 0);

    private void Set((string Value, long Version)? expected)
    {
        (string value, long start, SpaceHistory.Lineage lineage, string client) = (history.NextValue(), history.Tick(), Lineage, history.NextClient(site.Node));
        var call = new VariableCall(expected is null ? 'w' : 'c', value, expected?.Value);
        int index = lineage.Variable.Count;
        lineage.Variable.Add(new(client, start, TimedCall<VariableCall>.NeverAnswered, call));
        long number = NewCall(true, result =>
        {
            lineage.Variable[index] = new(client, start, history.Tick(), call with { Applied = result.Applied });
            if (result.Applied) lineage.SawVersion(value, result.Version);
            if (ReadX().Version < result.Version) Wrong("an update was answered, and is not read here");
        });
        Do(r => r.Update(number, new Operation
        {
            Kind = OperationKind.Set, Object = X, Expected = expected?.Version ?? Operation.Any, Value = Encoding.UTF8.GetBytes(value),
        }));
    }

    private void ReadLinearizably()
    {
        (long start, SpaceHistory.Lineage lineage, string client) = (history.Tick(), Lineage, history.NextClient(site.Node));
        if (history.Weakness == Weakness.LocalReadsAreTakenForLinearizable)
        {
            lineage.Variable.Add(new(client, start, history.Tick(), new('r', ReadX().Value)));
            return;
        }

        (string Value, long Version) seen = ("", 0);
        long number = NewCall(
            stable: true,
            _ =>
            {
                lineage.Variable.Add(new(client, start, history.Tick(), new('r', seen.Value)));
                lineage.SawVersion(seen.Value, seen.Version);
            },
            fenced: () => seen = ReadX());
        Do(r => r.Fence(number));
    }

    private void SetCausally(int which)
    {
        int more = history.Weakness == Weakness.WritersHaveSeenWhatIsNotThere ? 10 : 0;
        string seen = string.Join(' ', Causal.Select(id => (Replica.Find(id)!.Find([])?.Visible.Version ?? 0) + more));
        Do(r =>
        {
            long version = r.UpdateCausally(new Operation { Kind = OperationKind.Set, Object = Causal[which], Expected = Operation.Any, Value = Encoding.UTF8.GetBytes(seen) });
            if (r.Find(Causal[which])!.Find([])!.Visible.Version != version) Wrong("a causal update is not read here at once");
        });
    }

    private void Add(long delta)
    {
        SpaceHistory.Lineage lineage = Lineage;
        lineage.AdditionsMade += delta;
        long sent = history.Weakness == Weakness.AdditionsAreLost ? 0 : delta;
        Do(r => r.UpdateCausally(new Operation { Kind = OperationKind.Add, Object = Counter, Expected = Operation.Any, Number = sent }));
        _added += delta;
        long flushed = _added;
        _added = 0;
        Do(r => r.Flush(NewCall(true, _ => lineage.AdditionsFlushed += flushed)));
    }

    // Moves money between two accounts, reading one or both with shared locks first; in any order, so that circles come about.
    private void Transact(SimulationRandom random)
    {
        int from = random.Below(4), to = (from + 1 + random.Below(3)) % 4;
        Run(new Script([(SpaceHistory.Accounts[from], random.Chance(0.7)), (SpaceHistory.Accounts[to], true), (SpaceHistory.Accounts[from], true)], Amount: random.Below(20)));
    }

    // Reads all accounts: their sum is always the same.
    private void Audit(SimulationRandom random)
    {
        List<string> order = [.. SpaceHistory.Accounts];
        random.Shuffle(order);
        Run(new Script([.. order.Select(a => (a, false))], Amount: 0));
    }

    private void Run(Script script)
    {
        script.Number = ++_lastTransaction;
        if (history.Weakness == Weakness.TransactionsReadBeforeTheyLock)
        {
            foreach (string account in SpaceHistory.Accounts) Read(script, account, Replica.Find(Bank)?.Find(Encoding.UTF8.GetBytes(account))?.Delivered ?? Cell.None);
        }

        Step(script);
    }

    private void Step(Script script)
    {
        if (script.Next == script.Locks.Length)
        {
            Finish(script);
            return;
        }

        (string account, bool exclusive) = script.Locks[script.Next++];
        byte[] key = Encoding.UTF8.GetBytes(account);
        long number = NewCall(false, granted =>
        {
            if (history.Weakness != Weakness.TransactionsReadBeforeTheyLock) Read(script, account, granted.Taken!);
            Later(1, () => Step(script));
        }, failed: error => history.Deadlocks += error is DeadlockException ? 1 : 0);
        Do(r => r.Lock(number, script.Number, exclusive, Bank, key));
    }

    private void Read(Script script, string account, Cell cell)
    {
        if (script.Versions.TryGetValue(account, out long before) && before != cell.ShownVersion) Wrong($"account {account} changed under a lock");
        script.Versions[account] = cell.ShownVersion;
        script.Balances[account] = BalanceOf(cell);
    }

    // Outside transactions: writes what an account holds once more, with a mark, if nobody has changed it. It waits for transactions, and is given up if that takes long.
    private void Mark(string account, int patience)
    {
        byte[] key = Encoding.UTF8.GetBytes(account);
        Cell before = Replica.Find(Bank)?.Find(key)?.Delivered ?? Cell.None;
        (SpaceHistory.Lineage lineage, string name) = (Lineage, history.NextClient(site.Node));
        long number = NewCall(
            stable: true,
            result =>
            {
                if (result.Applied) lineage.Committed.Add(new CommittedTransaction(name, new Dictionary<string, long> { [account] = before.ShownVersion }, [account], result.Version));
            },
            failed: _ =>
            {
                lineage.GivenUp.Add(name);
                history.GivenUp++;
            });
        Do(r => r.Update(number, new Operation
        {
            Kind = OperationKind.Set, Object = Bank, Expected = before.ShownVersion, Key = key, Value = Encoding.UTF8.GetBytes($"{BalanceOf(before)}#{name}"),
        }));
        if (history.Weakness == Weakness.GivenUpIsMadeAllTheSame)
            site.After(TimeSpan.FromMilliseconds(patience), _ => ((ISpaceEffects)this).Failed(number, new DeadlockException("")));
        else
            site.After(TimeSpan.FromMilliseconds(patience), r => r.Withdraw(number, "it waited too long"));
    }

    private long BalanceOf(Cell cell)
    {
        if (!cell.IsPresent) return SpaceHistory.Initial;
        string[] parts = Encoding.UTF8.GetString(cell.Value!).Split('#');
        if (parts is [_, var mark] && Lineage.GivenUp.Contains(mark)) Wrong($"the update {mark} was given up, and is made");
        return long.Parse(parts[0]);
    }

    private void Finish(Script script)
    {
        bool isAudit = script.Locks.Length == 4;
        SpaceHistory.Lineage lineage = Lineage;
        string[] written = isAudit ? [] : [script.Locks[0].Account, script.Locks[1].Account];
        if (!isAudit)
        {
            script.Balances[written[0]] -= script.Amount;
            script.Balances[written[1]] += script.Amount;
            foreach (string account in history.Weakness == Weakness.TransactionsWriteHalf ? written[..1] : written)
            {
                Do(r => r.Write(script.Number, new Operation
                {
                    Kind = OperationKind.Set, Object = Bank, Expected = Operation.Any,
                    Key = Encoding.UTF8.GetBytes(account), Value = Encoding.UTF8.GetBytes($"{script.Balances[account]}"),
                }));
            }
        }

        string name = history.NextClient(site.Node);
        long number = NewCall(true, result =>
        {
            lineage.Committed.Add(new CommittedTransaction(name, script.Versions, written, result.Version));
            if (isAudit && script.Balances.Values.Sum() != 4 * SpaceHistory.Initial) lineage.Wrong.Add($"an audit found {script.Balances.Values.Sum()}");
        });
        Do(r => r.Commit(number, script.Number));
    }

    // ---- at rest

    public IEnumerable<string> CheckAtRest()
    {
        if (Replica.Find(Counter) is not { } counter || Replica.Find(Bank) is not { } bank) yield break;
        Look();
        SpaceHistory.Lineage lineage = Lineage;
        long sum = SpaceHistory.Accounts.Sum(a => BalanceOf(bank.Find(Encoding.UTF8.GetBytes(a))?.Delivered ?? Cell.None));
        if (sum != 4 * SpaceHistory.Initial) yield return $"the bank at {site.Node} holds {sum}";
        if (counter.Sum < lineage.AdditionsFlushed || counter.Sum > lineage.AdditionsMade)
            yield return $"the counter at {site.Node} is {counter.Sum}; {lineage.AdditionsFlushed} were flushed and {lineage.AdditionsMade} made";
        if (counter.SumAhead != 0 || Causal.Any(id => Replica.Find(id)?.Find([])?.Ahead is not null)) yield return $"at rest {site.Node} waits for causal updates of its own";
    }

    private long NewCall(bool stable = false, Action<UpdateResult>? done = null, Action? fenced = null, Action<Exception>? failed = null)
    {
        _calls.Add(_lastCall += 2, (done, fenced, failed));
        return stable ? _lastCall | 1 : _lastCall;
    }

    private void Do(Action<SpaceReplica> call)
    {
        if (_isInside)
            call(Replica);
        else
            site.Run(call);
    }

    private void Later(int milliseconds, Action step) => site.After(TimeSpan.FromMilliseconds(milliseconds), _ =>
    {
        _isInside = true;
        step();
        _isInside = false;
    });

    private void Wrong(string what) => Lineage.Wrong.Add($"{site.Self}: {what}");

    void ISpaceEffects.Done(long call, in UpdateResult result)
    {
        if (_calls.Remove(call & ~1L, out var pending)) pending.Done?.Invoke(result);
    }

    void ISpaceEffects.Fenced(long call)
    {
        if (_calls.TryGetValue(call & ~1L, out var pending)) pending.Fenced?.Invoke();
    }

    void ISpaceEffects.Failed(long call, Exception error)
    {
        if (_calls.Remove(call & ~1L, out var pending)) pending.Failed?.Invoke(error);
    }

    void ISpaceEffects.Ended(MembershipEnd end)
    {
        _calls.Clear();
        Array.Clear(_newest);
        (_newestX, _added) = (0, 0);
    }

    private sealed record Script((string Account, bool Exclusive)[] Locks, long Amount)
    {
        public long Number;
        public int Next;
        public readonly Dictionary<string, long> Versions = [];
        public readonly Dictionary<string, long> Balances = [];
    }
}

// What happened to logs in one simulated run, and what must hold of it: the workload and the checker that a toolkit writes.
using Core.Groups;
using Core.Groups.Replication;
using Core.Groups.Testing.Replicas;
using Core.Groups.Testing.Simulation;

namespace Toolkit.Tests.Replication;

internal sealed class LogHistory(Type? replica = null)
{
    private readonly Dictionary<long, string> _appended = [];
    private readonly Dictionary<ReplicaSite, Site> _present = [];
    private long _last;

    public int Appended { get; private set; }
    public int Ended { get; private set; }
    public int Flushed { get; private set; }
    public int Asked { get; private set; }
    public int Wakes { get; private set; }

    public ReplicaWorkload<LogReplica> Workload => new()
    {
        Groups = ["/log", "/other"],
        Create = site => (LogReplica)Activator.CreateInstance(replica ?? typeof(LogReplica), _present[site] = new Site(this, site))!,
        Act = Act,
        Ask = Ask,
        Check = Check,
    };

    /// <summary>For another run; the counters go on.</summary>
    public LogHistory Again()
    {
        _appended.Clear();
        _present.Clear();
        return this;
    }

    private void Act(ReplicaSite<LogReplica> site, SimulationRandom random)
    {
        long value = ++_last;
        switch (random.Below(10))
        {
            case < 6:
                _appended.Add(value, $"{site.Self}");
                _present[site].Waiting.Add(value);
                site.Run(log => log.Append(value, value));
                break;
            case < 8:
                site.Run(log => log.Add(value));
                break;
            case 8:
                _present[site].Waiting.Add(value);
                site.Run(log => log.Flush(value));
                break;
            default:
                site.Run(log => log.WakeIn(random.Between(TimeSpan.Zero, TimeSpan.FromMilliseconds(50))));
                break;
        }
    }

    private void Ask(ReplicaSite<LogReplica> site, SimulationRandom random) =>
        site.Request(Order.Total, "how many?"u8.ToArray(), Replies.All, TimeSpan.FromSeconds(random.Between(1, 5)), replies =>
        {
            Asked += replies?.Answers.Count > 0 ? 1 : 0;
            if (replies?.Answers.Count > 1)
            {
                site.Violate($"{replies.Answers.Count} members answered, as if each were the oldest.");
            }
        });

    private IEnumerable<string> Check(IReadOnlyList<ReplicaSite<LogReplica>> sites)
    {
        foreach (ReplicaSite<LogReplica> site in sites)
        {
            IReadOnlyList<long> log = site.Replica!.Log;
            if (log.Distinct().Count() != log.Count)
            {
                yield return $"{site.Self} has a value twice.";
            }

            foreach (IGrouping<string, long> sender in log.GroupBy(value => _appended.GetValueOrDefault(value, "nobody")))
            {
                if (!sender.SequenceEqual(sender.Order()))
                {
                    yield return $"{site.Self} has the values of {sender.Key} not in the order of its calls: {string.Join(' ', sender)}.";
                }
            }
        }

        // A call ends, or its program has crashed, and another one has taken its place.
        foreach (ReplicaSite<LogReplica> site in sites.Where(site => _present[site].Waiting.Count > 0))
        {
            yield return $"Calls of {site.Self} never ended: {string.Join(' ', _present[site].Waiting)}.";
        }
    }

    /// <summary>One replica's effects.</summary>
    internal sealed class Site(LogHistory history, ReplicaSite<LogReplica> site) : ILogEffects
    {
        public SortedSet<long> Waiting { get; } = [];

        public void RunInside() => site.Run(_ => { });

        void ILogEffects.Appended(long call, int position)
        {
            Waiting.Remove(call);
            history.Appended++;
        }

        void ILogEffects.Flushed(long call)
        {
            Waiting.Remove(call);
            history.Flushed++;
        }

        void ILogEffects.Woke() => history.Wakes++;

        void ILogEffects.Ended(long call, MembershipEnd end)
        {
            Waiting.Remove(call);
            history.Ended++;
        }
    }
}

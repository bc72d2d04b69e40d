// A simulated cluster of replicas in the hands of a test: it says what fails when, and time passes when it lets it.
// Keeps: the same seed and the same operations give the same run, byte for byte.
using Core.Groups.Replication;
using Core.Groups.Testing.Simulation;

namespace Core.Groups.Testing.Replicas;

/// <summary>
/// A whole cluster in one thread on virtual time, for tests of a service's own replicas: seconds of the cluster pass in milliseconds.
/// All operations take effect at the present virtual time; <see cref="RunFor"/>, <see cref="RunUntil"/> and <see cref="Settle"/> let
/// time pass. Not thread-safe.
/// </summary>
/// <remarks>Every operation throws <see cref="ReplicaViolationException"/> once something is wrong: the protocol, or the replicas.</remarks>
/// <typeparam name="TReplica">The replica.</typeparam>
public sealed class ReplicaCluster<TReplica> where TReplica : Replica
{
    private static readonly TimeSpan SettleLimit = TimeSpan.FromSeconds(60);

    private readonly ulong _seed;
    private readonly ReplicaWorld<TReplica> _world;
    private readonly SimulatedCluster _cluster;

    /// <summary>Starts the nodes, named a, b, c and so on; all join all groups, and the cluster comes to rest.</summary>
    /// <param name="seed">The delays of network and nodes come from it.</param>
    /// <param name="nodes">How many, from 1 to 26.</param>
    /// <param name="create">Makes a replica: for the first membership of a node, and after a crash, a stop or a leave.</param>
    /// <param name="groups">The names of the groups; default: <c>/replica</c> alone.</param>
    /// <exception cref="ReplicaViolationException">The replicas threw, or differ from the start.</exception>
    public ReplicaCluster(ulong seed, int nodes, Func<ReplicaSite<TReplica>, TReplica> create, params IReadOnlyList<string> groups)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(nodes, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(nodes, 26);
        ArgumentNullException.ThrowIfNull(create);
        ArgumentNullException.ThrowIfNull(groups);
        _seed = seed;
        _world = new ReplicaWorld<TReplica>(new ReplicaWorkload<TReplica>
        {
            Create = create, Act = (_, _) => { }, Groups = groups.Count > 0 ? groups : ["/replica"],
        });
        _cluster = new SimulatedCluster(seed, [.. Enumerable.Range('a', nodes).Select(c => ((char)c).ToString())], new SimulationOptions { Traffic = _world });
        foreach (string node in Nodes)
        {
            foreach (string group in Groups) _cluster.Join(node, group);
            _cluster.Start(node);
        }

        Settle();
    }

    /// <summary>The names of the nodes.</summary>
    public IReadOnlyList<string> Nodes => _cluster.Names;

    /// <summary>The names of the groups.</summary>
    public IReadOnlyList<string> Groups => _world.Groups;

    /// <summary>Virtual time since the start.</summary>
    public TimeSpan Now => _cluster.Time.Now;

    /// <summary>What was done and what nodes and test logged, with the virtual time.</summary>
    public IReadOnlyList<string> Log => _cluster.LogLines;

    /// <summary>A node's replica of the first group.</summary>
    public ReplicaSite<TReplica> this[string node] => this[node, Groups[0]];

    /// <summary>A node's replica of a group.</summary>
    public ReplicaSite<TReplica> this[string node, string group] => _world.SiteOf(_cluster, _cluster[node].Name, group);

    /// <summary>The process of a node dies, without a word to anybody.</summary>
    public void Crash(string node) => Do(() => _cluster.Crash(node));

    /// <summary>Starts a node that is down; it joins its groups again.</summary>
    public void Start(string node) => Do(() => _cluster.Start(node));

    /// <summary>A node stops in order; it is down some time later.</summary>
    public void Stop(string node) => Do(() => _cluster.Stop(node));

    /// <summary>The process of a node stands still, as one that is suspended, until <see cref="Thaw"/>.</summary>
    public void Freeze(string node) => Do(() => _cluster.Freeze(node));

    /// <summary>A frozen process goes on.</summary>
    public void Thaw(string node) => Do(() => _cluster.Thaw(node));

    /// <summary>Only nodes within one component reach each other; a node that is in none is alone.</summary>
    public void Partition(params IReadOnlyList<IReadOnlyCollection<string>> components) => Do(() => _cluster.Partition(components));

    /// <summary>What the first node sends no longer reaches the second; the way back stays open.</summary>
    public void CutOneWay(string from, string to) => Do(() => _cluster.CutOneWay(from, to));

    /// <summary>All connections work again.</summary>
    public void Heal() => Do(_cluster.Heal);

    /// <summary>The connection between two nodes breaks, and can be made again at once.</summary>
    public void Break(string first, string second) => Do(() => _cluster.Break(first, second));

    /// <summary>A node joins a group, and will again when it comes back.</summary>
    public void Join(string node, string group) => Do(() => _cluster.Join(node, group));

    /// <summary>A node leaves a group, and stays out.</summary>
    public void Leave(string node, string group) => Do(() => _cluster.Leave(node, group));

    /// <summary>Lets virtual time pass.</summary>
    public void RunFor(TimeSpan time) => Do(() => _cluster.RunFor(time));

    /// <summary>Lets virtual time pass until the condition holds. False: it does not hold when the limit is reached.</summary>
    public bool RunUntil(Func<bool> condition, TimeSpan limit)
    {
        bool holds = false;
        Do(() => holds = _cluster.RunUntil(condition, limit));
        return holds;
    }

    /// <summary>
    /// Heals and thaws everything, and lets time pass until all nodes that are up are at rest; then views and states of all members
    /// must be equal, and the traces of the whole run right in the eyes of the protocol's checkers.
    /// </summary>
    public void Settle() => Do(() =>
    {
        if (_cluster.Quiesce(SettleLimit)) SimulationRun.Judge(_cluster, isQuiet: true);
    });

    private void Do(Action operation)
    {
        operation();
        if (_cluster.Violations.Count > 0)
        {
            throw new ReplicaViolationException(new ReplicaRun("by hand", _seed, _cluster.Violations, _cluster.LogLines, _cluster.Fingerprint.Value));
        }
    }
}

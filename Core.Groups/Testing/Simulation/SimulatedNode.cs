// A named node through all its incarnations: started, crashed, restarted (with a memory if it has a disk), excluded and back again.
using System.Collections.Immutable;
using Core.Groups.Protocol;

namespace Core.Groups.Testing.Simulation;

/// <summary>A node of a simulated cluster. What it wants (its groups) outlives its incarnations.</summary>
internal sealed class SimulatedNode(SimulatedCluster cluster, string name, NodeSettings settings, SimulationRandom random)
{
    private int incarnation;
    private ImmutableArray<string> contacts = [];

    /// <summary>Its stable store; null: it has none.</summary>
    public SimulatedDisk? Disk { get; } = cluster.Options.Disk is { } profile ? new SimulatedDisk(cluster.Time, random.Fork(), profile) : null;

    public string Name => name;

    /// <summary>The living incarnation.</summary>
    public SimulatedProcess? Process { get; private set; }

    /// <summary>Whether the next incarnation is about to start after an exclusion.</summary>
    public bool IsComingBack { get; private set; }

    /// <summary>The groups that this node shall be a member of.</summary>
    public SortedSet<string> Wanted { get; } = new(StringComparer.Ordinal);

    public bool IsUp => Process is not null || IsComingBack;

    public void Start()
    {
        if (Process is not null) return;
        IsComingBack = false;
        NodeSettings remembering = settings with { Memory = Disk?.Id ?? 0, Remembered = Disk?.Latest ?? default, Contacts = contacts };
        Process = new SimulatedProcess(cluster, this, new NodeId(name, ++incarnation), remembering, random.Fork());
        cluster.Network.Attach(name, Process);
        Process.Call(Process.Machine.Start);
        foreach (string group in Wanted) Process.Application.Join(group);
    }

    public void Crash()
    {
        IsComingBack = false;
        contacts = [];
        if (Process is not { } process) return;
        cluster.RecordCrash(process.Id);
        process.Kill();
        Disk?.Crash();
        Process = null;
        cluster.Network.Detach(name, abrupt: true);
    }

    /// <summary>The incarnation ended by the protocol's word.</summary>
    public void ProcessEnded(ProcessEnd how)
    {
        contacts = how == ProcessEnd.Excluded ? Process!.Machine.PeerAddresses : [];
        Process = null;
        cluster.Network.Detach(name, abrupt: false);
        if (how == ProcessEnd.Excluded)
        {
            cluster.Coverage.Exclusions++;
            IsComingBack = true;
            cluster.Time.After(random.Between(TimeSpan.FromMilliseconds(1), TimeSpan.FromMilliseconds(200)), () =>
            {
                if (IsComingBack) Start();
            });
        }
    }
}

// What a simulated process carries above its machine. The machine's effects come as they are given: the application keeps what
// a host keeps (one handler of a group at a time, in delivery order; sends only within the credit).
using Core.Groups.Protocol;

namespace Core.Groups.Testing.Simulation;

/// <summary>What an application is given.</summary>
/// <param name="Wanted">The groups that the node shall be a member of; changes while the process runs.</param>
internal sealed record ApplicationSeat(SimulatedCluster Cluster, SimulatedProcess Process, SortedSet<string> Wanted, SimulationRandom Random, long CreditWindow);

/// <summary>The application of one incarnation.</summary>
internal interface ISimulatedApplication
{
    bool IsStopping { get; }

    /// <summary>What it still waits for, as English phrases; none when it is idle and has all it wants.</summary>
    IEnumerable<string> Unfinished();

    void Join(string group);
    void Leave(string group);
    void Stop();

    void OnJoined(long call, GroupId group, string name);
    void OnView(View view);
    void OnDelivery(Delivery delivery);
    void OnSaveState(GroupId group, long token);
    // Only of an application that gives its state in pieces.
    void OnReadState(GroupId group, long token) => throw new NotSupportedException();
    void OnEndState(long token) { }
    void OnStreamState(GroupId group, StateStep step, ReadOnlyMemory<byte> piece) => throw new NotSupportedException();
    void OnLoadState(GroupId group, ReadOnlyMemory<byte>? state);
    void OnConfigured(GroupId group, string key, string? value);
    void OnGroupLeft(GroupId group, GroupEnd end);
    void OnCreditReleased(GroupId group, long bytes);
    void OnSent(long call, MessageId message);
    void OnCompleted(long call, Outcome outcome);
    void OnRequestCompleted(long call, Outcome outcome, IReadOnlyList<ReplyItem> replies, IReadOnlyList<NodeId> failed);

    /// <summary>The process ended by the protocol's word (not by a crash).</summary>
    void OnProcessEnded(ProcessEnd how);
}

/// <summary>What a cluster is for, in place of the scripted application.</summary>
internal interface ITraffic
{
    /// <summary>The groups.</summary>
    IReadOnlyList<string> Groups { get; }

    ISimulatedApplication CreateApplication(ApplicationSeat seat);

    /// <summary>Does an act of traffic.</summary>
    void Do(Act act, SimulatedNode node, string group, SimulationRandom random);

    /// <summary>What is wrong with a cluster at rest, as English sentences.</summary>
    IEnumerable<string> Differences(SimulatedCluster cluster);
}

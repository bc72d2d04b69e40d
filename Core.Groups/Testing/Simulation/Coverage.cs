using Core.Groups.Tracing;

namespace Core.Groups.Testing.Simulation;

/// <summary>What has happened in runs: a simulator that exercises nothing finds nothing.</summary>
internal sealed class Coverage
{
    public long Configurations { get; set; }
    public long Views { get; set; }
    public long Exclusions { get; set; }
    public long Blocks { get; set; }
    public long Crashes { get; set; }
    public long Resumes { get; set; }
    public long StateTransfers { get; set; }
    public long Requests { get; set; }
    public long PassedOn { get; set; }
    public long ReplyCopies { get; set; }
    public long Deletions { get; set; }
    public long WatchedChanges { get; set; }
    public long Refusals { get; set; }
    public long Merges { get; set; }
    public long ClientAnswers { get; set; }
    public long Moves { get; set; }
    public long ClientMoves { get; set; }
    public long StateRestarts { get; set; }
    public long Events { get; set; }
    public long[] Deliveries { get; } = new long[Enum.GetValues<Order>().Length];

    public void Count(TraceEvent line)
    {
        switch (line.Kind)
        {
            case TraceKind.View: Views++; break;
            case TraceKind.Block: Blocks++; break;
            case TraceKind.Fail: Crashes++; break;
            case TraceKind.State: StateTransfers++; break;
            case TraceKind.Deliver: Deliveries[(int)line.Order]++; break;
        }
    }

    public void Add(Coverage other)
    {
        Configurations += other.Configurations;
        Views += other.Views;
        Exclusions += other.Exclusions;
        Blocks += other.Blocks;
        Crashes += other.Crashes;
        Resumes += other.Resumes;
        StateTransfers += other.StateTransfers;
        Requests += other.Requests;
        PassedOn += other.PassedOn;
        ReplyCopies += other.ReplyCopies;
        Deletions += other.Deletions;
        WatchedChanges += other.WatchedChanges;
        Refusals += other.Refusals;
        Merges += other.Merges;
        ClientAnswers += other.ClientAnswers;
        Moves += other.Moves;
        ClientMoves += other.ClientMoves;
        StateRestarts += other.StateRestarts;
        Events += other.Events;
        for (int i = 0; i < Deliveries.Length; i++) Deliveries[i] += other.Deliveries[i];
    }
}

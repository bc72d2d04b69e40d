// The barriers that the application waits at: what was asked for before must have left, and all be stable.
// Follows: RFC 992 section 6.6; protocol.md section 3.
using Core.Groups.Protocol.Ordering;

namespace Core.Groups.Protocol.Requests;

internal sealed class FlushTable(NodeContext context, CallQueue calls)
{
    private readonly List<Pending> _flushes = [];

    /// <param name="lastCall">The last call that had to wait when the flush was asked for: it must have left.</param>
    private sealed class Pending(long call, long lastCall)
    {
        public long Call => call;
        public long LastCall => lastCall;
        /// <summary>What must be stable, by rank; null while an earlier call waits.</summary>
        public long[]? Sequences { get; set; }
    }

    public bool Waits => _flushes.Count > 0;

    public void Begin(long call)
    {
        var flush = new Pending(call, calls.LastNumber);
        _flushes.Add(flush);
        if (context.IsWorking) Fix(flush);
    }

    private void Fix(Pending flush)
    {
        if (calls.HasUpTo(flush.LastCall)) return;
        OrderingLayer ordering = context.Ordering!;
        flush.Sequences = [.. Enumerable.Range(0, ordering.Members).Select(r => ordering.Logs[r].Received)];
    }

    /// <summary>Ends those of which everything is stable.</summary>
    public void Complete()
    {
        if (_flushes.Count == 0) return;
        OrderingLayer ordering = context.Ordering!;
        foreach (Pending flush in _flushes.ToArray())
        {
            if (flush.Sequences is null) Fix(flush);
            if (flush.Sequences is not { } sequences) continue;
            bool stable = true;
            for (int rank = 0; rank < sequences.Length; rank++) stable &= ordering.StableOf(rank) >= sequences[rank];
            if (!stable) continue;
            _flushes.Remove(flush);
            context.Effects.Completed(flush.Call, Outcome.Done);
        }
    }

    /// <summary>A configuration is installed: everything that had left is delivered by all that are here.</summary>
    public void OnInstalled()
    {
        foreach (Pending flush in _flushes)
        {
            if (flush.Sequences is not null) context.Effects.Completed(flush.Call, Outcome.Done);
        }
        _flushes.RemoveAll(static f => f.Sequences is not null);
    }

    public void EndAll(Outcome outcome)
    {
        foreach (Pending flush in _flushes) context.Effects.Completed(flush.Call, outcome);
        _flushes.Clear();
    }
}

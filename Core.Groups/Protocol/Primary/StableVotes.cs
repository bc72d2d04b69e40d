// Brings what a node remembers of votes to its stable store before others are told of it.
// Keeps: a promise, a session or an attempt is told only when it is on disk, so a restarted node knows at least what the
// others were told. Without a store all is told at once: then a vote ends with its incarnation.
// Follows: protocol.md section 6 ("on disk before they are told").
using Core.Groups.Wire;

namespace Core.Groups.Protocol.Primary;

internal sealed class StableVotes(NodeContext context)
{
    private readonly Queue<(long Sequence, ConfigurationId Promised, Session? Last, Action? Then)> _waiting = new();
    private ConfigurationId _storedPromise;
    private Session? _storedLast;
    private long _sequence;

    public VoteMemory Votes { get; } = new(context.Settings.Weak, context.Settings.Memory);
    private bool HasStore => context.Settings.Memory != 0;
    private bool TellsEarly => context.Settings.Weak.Lacks(WeakRules.ToldBeforeStored);

    /// <summary>What may be told of the promise.</summary>
    public ConfigurationId Promised => HasStore ? _storedPromise : Votes.Promised;
    /// <summary>What may be told of the last session.</summary>
    public Session? Last => HasStore ? _storedLast : Votes.Last;

    /// <summary>Takes up what an earlier incarnation remembered, and makes sure of it again: its last record may be under way still.</summary>
    public void Start()
    {
        if (!HasStore) return;
        if (!context.Settings.Remembered.IsEmpty) Votes.Read(context.Settings.Remembered);
        Keep();
    }

    /// <summary>Stores what is remembered now, and acts when it is on disk.</summary>
    public void Keep(Action? then = null)
    {
        if (!HasStore)
        {
            then?.Invoke();
            return;
        }
        var record = new WireWriter();
        Votes.Write(record);
        _waiting.Enqueue((++_sequence, Votes.Promised, Votes.Last, then));
        context.Effects.Store(_sequence, record.ToArray());
        if (TellsEarly) OnStored(_sequence);
    }

    /// <summary>Everything up to this record is on disk.</summary>
    public void OnStored(long sequence)
    {
        while (_waiting.TryPeek(out var kept) && kept.Sequence <= sequence)
        {
            _waiting.Dequeue();
            (_storedPromise, _storedLast) = (kept.Promised, kept.Last);
            kept.Then?.Invoke();
        }
    }
}

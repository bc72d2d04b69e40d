// What one node remembers of primaries: what it promised, the last session that it knows, and the attempts whose outcome
// it does not know.
// Keeps: attempts are outdated by the newest session that is known, and by nothing else (PrimaryRule.IsPending): to know it and
// to let go of them are one act. Who records an attempt knows what the attempt goes on from.
// Follows: protocol.md section 6. StableVotes brings it to a stable store; without one a restarted node begins empty.
using System.Collections.Immutable;
using Core.Groups.Wire;

namespace Core.Groups.Protocol.Primary;

internal sealed class VoteMemory(WeakRules weak, ulong memory = 0)
{
    private const byte FormatVersion = 1;

    /// <summary>To what the votes belong: the id of the store; 0: to the incarnation.</summary>
    public ulong Memory { get; private set; } = memory;
    /// <summary>No proposal up to this one is answered any more.</summary>
    public ConfigurationId Promised { get; private set; }
    public Session? Last { get; private set; }
    public ImmutableArray<Session> Attempts { get; private set; } = [];

    /// <summary>
    /// Records an attempt, and what it goes on from: the last session of its lineage and the attempts that may have formed. A
    /// stranger that knew the new attempt alone could go on from that, though it never formed, beside those whom the others
    /// belong to. What is remembered of another lineage is given up: its attempts are known to have failed. So are those of this
    /// lineage that a voter shows to have failed: the only one to show it may die, and the attempt would bind for ever.
    /// </summary>
    public void Record(Session attempt, IReadOnlyList<Voter> voters)
    {
        if (!weak.Lacks(WeakRules.StrangersDoNotAdopt))
        {
            LineageId lineage = attempt.Lineage;
            Session? known = PrimaryRule.LastOf(voters, lineage);
            if (known is not null && !(Last?.Lineage == lineage && Last.Number >= known.Number)) Last = known;
            Attempts = [.. voters.SelectMany(v => v.Attempts).Where(a => a.Lineage == lineage && PrimaryRule.IsPending(a, voters)).Distinct()];
        }
        Attempts = [.. Attempts.Where(a => a.Number != attempt.Number), attempt];
    }

    public void Promise(ConfigurationId proposal) => Promised = proposal;

    /// <summary>The newest session of this node's lineage that others know, if it is newer than what is known here.</summary>
    public Session? NewerAmong(IEnumerable<Session?> lasts) => Last is not { } last ? null
        : lasts.Where(s => s?.Lineage == last.Lineage && s.Number > last.Number).MaxBy(s => s!.Number);

    /// <summary>Whether a newer session shows that an incarnation can never go on: it is not in it, and could not have formed a later one.</summary>
    public bool IsOverBecauseOf(Session newer, NodeId self) => !newer.Contains(self) && !Attempts.Any(a => a.Number >= newer.Number);

    /// <summary>A newer session of this lineage is known: the attempts that it outdates count no more, here or where they are told.</summary>
    public void Adopt(Session newer)
    {
        if (weak.Lacks(WeakRules.DropsAndDoesNotAdopt)) Attempts = [.. Attempts.Where(a => a.Number > newer.Number)];
        else Last = newer;
    }

    public void Install(Session session)
    {
        Last = session;
        Attempts = [];
    }

    /// <summary>
    /// Gives up a lineage for good: this node is a stranger now, also where its store voted before (the id changes: a store
    /// that came back to a lineage would not know what it had recorded there). What was promised stays promised.
    /// </summary>
    public void GiveUp()
    {
        Last = null;
        Attempts = [];
        if (Memory != 0) Memory = unchecked((Memory * 0x9E3779B97F4A7C15) ^ (ulong)Promised.Epoch) | 1;
    }

    public void Write(WireWriter writer)
    {
        writer.Byte(FormatVersion);
        writer.Fixed64(Memory);
        writer.Flag(Promised != default);
        if (Promised != default) writer.Configuration(Promised);
        Session.Write(writer, Last);
        writer.Varint(Attempts.Length);
        foreach (Session attempt in Attempts) Session.Write(writer, attempt);
    }

    /// <exception cref="WireFormatException">These bytes are not what <see cref="Write"/> writes.</exception>
    public void Read(ReadOnlyMemory<byte> record)
    {
        var reader = new WireReader(record);
        if (reader.Byte() is not FormatVersion and var version) throw new WireFormatException($"The votes are written in format {version}, and this version reads format {FormatVersion} only.");
        Memory = reader.Fixed64();
        Promised = reader.Flag() ? reader.Configuration() : default;
        Last = Session.Read(ref reader);
        var attempts = ImmutableArray.CreateBuilder<Session>();
        for (int left = reader.Count(); left > 0; left--) attempts.Add(Session.Read(ref reader) ?? throw new WireFormatException("An attempt is missing."));
        Attempts = attempts.ToImmutable();
        if (!reader.AtEnd) throw new WireFormatException("The votes are followed by something else.");
    }
}

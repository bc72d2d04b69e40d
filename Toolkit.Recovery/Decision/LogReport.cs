using System.Collections.Immutable;
using Toolkit.Recovery.Logs;

namespace Toolkit.Recovery.Decision;

/// <summary>What a node says of its log of one group, while nothing is being logged.</summary>
/// <param name="Point">How far the log goes.</param>
/// <param name="Members">The names of the members of the last view logged.</param>
/// <param name="Cut">From where on another one's log may go on in it; null: the state is wanted as a whole.</param>
internal sealed record LogReport(LogPoint Point, ImmutableArray<string> Members, CutPoint? Cut = null);

/// <summary>What one node has to do with a group.</summary>
internal enum MemberPhase : byte
{
    /// <summary>It has a log, or none, and does not want to join now.</summary>
    Idle,

    /// <summary>It wants to join, and waits for what the recovery manager decides.</summary>
    Waiting,

    /// <summary>It is on its way into the group again by itself, after an exclusion, and may have its state.</summary>
    Busy,

    /// <summary>It is a member and has the state.</summary>
    Active,

    /// <summary>It was told to bring the group back from its log, or to begin it.</summary>
    Restoring,

    /// <summary>It was told to join by state transfer.</summary>
    Joining,
}

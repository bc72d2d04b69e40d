namespace Toolkit.Tests.Recovery.Simulation;

/// <summary>A rule that is left out, to see that the checks bite.</summary>
internal enum Weakness
{
    None,

    /// <summary>A joiner is given the state before the donor has logged the view with the joiner.</summary>
    StateBeforeView,

    /// <summary>A member says that it has on disk what it is still writing.</summary>
    AnsweredBeforeSynced,

    /// <summary>Whoever comes first restores the group from its log.</summary>
    FirstRestores,

    /// <summary>What is decided is acted on before a majority has written it down.</summary>
    ActsBeforeWrittenDown,

    /// <summary>The store goes on after an fsync that failed, as if it had not.</summary>
    FailedSyncIsTakenForDone,

    /// <summary>What a crash has cut off is not removed from a log.</summary>
    TornRecordsAreTaken,
}

namespace Toolkit.CoordinatorCohort;

/// <summary>Who executes a request.</summary>
public enum Execution : byte
{
    /// <summary>One member, the coordinator; another one if it fails.</summary>
    Coordinator = 0,

    /// <summary>Every member; the answers are collated (<see cref="Collation"/>). The copy of a member that fails is not redone.</summary>
    Redundant = 1,

    /// <summary>Every member its part, by its rank; the parts of members that fail are redone by others.</summary>
    Subdivided = 2,
}

/// <summary>How many answers end a redundant execution. A member that fails is not waited for.</summary>
public enum Collation : byte
{
    /// <summary>The first that is no error, the same one at all members; the other executions are cancelled.</summary>
    First = 0,

    /// <summary>The answers of a majority of the members that the request reached.</summary>
    Majority = 1,

    /// <summary>The answers of all of them.</summary>
    All = 2,
}

/// <summary>How an execution ended at one member.</summary>
public enum AnswerKind : byte
{
    /// <summary>With a result.</summary>
    Result = 0,

    /// <summary>The action threw: the body is its message, in UTF-8.</summary>
    Failed = 1,

    /// <summary>The caller cancelled it.</summary>
    Cancelled = 2,
}

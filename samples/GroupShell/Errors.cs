// Every error that an operation can end with, as the code that programs get. Codes are part of the protocol of the shell.
using Core.Groups;
using Toolkit.CoordinatorCohort;

namespace GroupShell;

/// <summary>Names errors.</summary>
internal static class Errors
{
    public static string CodeOf(Exception error) => error switch
    {
        ShellException shell => shell.Code,
        TimeoutException or OperationCanceledException => "timeout", // nothing but its time-out cancels an operation
        NotMemberException => "not-member",
        AlreadyMemberException => "already-member",
        GroupDeletedException => "group-deleted",
        JoinRefusedException => "join-refused",
        MigrationFailedException => "migration-failed",
        GroupNotFoundException => "no-such-group",
        MessageTooLargeException => "message-too-large",
        ExcludedException => "excluded",
        NodeStoppedException or ClientStoppedException => "stopped",
        ClientForgottenException => "forgotten",
        StateTransferException => "state-transfer-failed",
        StableStoreException => "storage-failed",
        OverdraftException => "overdraft",
        DeadlockException => "deadlock",
        LockRecursionException => "re-entrant",
        NameTakenException => "name-taken",
        ExecutionFailedException => "task-failed",
        ResultForgottenException => "result-forgotten",
        NotSupportedException => "not-supported",
        ArgumentException => "bad-field",
        InvalidOperationException => "not-possible", // what the library refuses, with the reason
        _ => "internal-error",
    };

    public static string MessageOf(Exception error) =>
        error is OperationCanceledException ? "The time given was over." : error.Message;

    /// <summary>Whether the operation may have had its effect all the same.</summary>
    public static bool IsOutcomeUnknown(Exception error) =>
        error is ExcludedException { OutcomeUnknown: true } or NodeStoppedException { OutcomeUnknown: true } or ClientStoppedException { OutcomeUnknown: true } or ClientForgottenException;
}

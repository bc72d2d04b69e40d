// What outlives a process: small values that are replaced as a whole, and logs that grow at their end.
// Keeps: what a call has completed is there after any crash; what was never completed is there whole or not at all.
namespace Core.Groups;

/// <summary>
/// Stable storage of one node, in the exclusive use of one process. Completion of a write means that it is on the disk
/// itself (fsync), not with the operating system. All members may be used from any thread.
/// </summary>
/// <remarks>
/// A store fails once and for all: after an error of the disk nobody can know what of the last writes is there, so every
/// later call throws the same <see cref="StableStoreException"/>. Open the store anew, in a new process, to go on.
/// </remarks>
public interface IStableStore : IAsyncDisposable
{
    /// <summary>Random, made with the store, never 0. A store that was lost and begun anew has another one.</summary>
    ulong Id { get; }

    /// <summary>The value of this name; null if there is none.</summary>
    /// <exception cref="StableStoreException">The value is damaged, or the store has failed.</exception>
    ValueTask<ReadOnlyMemory<byte>?> ReadAsync(string name, CancellationToken ct = default);

    /// <summary>Puts a value in the place of the one before, in one step: a crash leaves the old one or the new one.</summary>
    /// <param name="name">At most 100 characters. Values and logs have names of their own.</param>
    /// <param name="value">The bytes; they must not change until the call has completed.</param>
    /// <param name="ct">Heeded before the write begins; then it is carried out.</param>
    /// <exception cref="StableStoreException">The disk failed or is full; the store has failed.</exception>
    ValueTask WriteAsync(string name, ReadOnlyMemory<byte> value, CancellationToken ct = default);

    /// <summary>Removes a value. Nothing happens if there is none.</summary>
    /// <exception cref="StableStoreException">The disk failed; the store has failed.</exception>
    ValueTask DeleteAsync(string name, CancellationToken ct = default);

    /// <summary>Opens a log, and makes it if it is not there. A log is open once at a time.</summary>
    /// <exception cref="StableStoreException">The log is damaged where it must not be, is open already, or the store has failed.</exception>
    ValueTask<IStableLog> OpenLogAsync(string name, CancellationToken ct = default);

    /// <summary>Removes a log, which must not be open. Nothing happens if there is none.</summary>
    /// <exception cref="StableStoreException">The disk failed; the store has failed.</exception>
    ValueTask DeleteLogAsync(string name, CancellationToken ct = default);
}

/// <summary>Records in the order in which they were appended, numbered from 1 without gaps.</summary>
public interface IStableLog : IAsyncDisposable
{
    /// <summary>The number of the oldest record that is kept; <see cref="Next"/> if there is none.</summary>
    long First { get; }

    /// <summary>The number that the next record gets.</summary>
    long Next { get; }

    /// <summary>
    /// What was found at the end when the log was opened, in words for an operator: an append that a crash had cut off, and
    /// that was removed. Null: nothing.
    /// </summary>
    string? Repaired { get; }

    /// <summary>
    /// Appends a record; completes with its number when it is on the disk. Appends that come while others are being written
    /// share one write and one fsync. They complete in order.
    /// </summary>
    /// <param name="record">At most 64 MiB; the bytes must not change until the call has completed.</param>
    /// <exception cref="StableStoreException">The disk failed or is full; the store has failed.</exception>
    ValueTask<long> AppendAsync(ReadOnlyMemory<byte> record);

    /// <summary>The records from a number on, up to the last one that was on the disk when the call was made.</summary>
    /// <param name="from">Less than <see cref="First"/> means from there.</param>
    /// <param name="ct">Ends the reading.</param>
    /// <exception cref="StableStoreException">A record is damaged, or the store has failed.</exception>
    IAsyncEnumerable<StableRecord> ReadAsync(long from, CancellationToken ct = default);

    /// <summary>
    /// Says that the records before a number are not needed any more, after a checkpoint that contains them. Their space is
    /// freed in large parts, so some of them may stay.
    /// </summary>
    /// <exception cref="StableStoreException">The disk failed; the store has failed.</exception>
    ValueTask DiscardBeforeAsync(long number, CancellationToken ct = default);
}

/// <summary>A record of a log.</summary>
/// <param name="Number">Its number in the log.</param>
/// <param name="Content">Its bytes.</param>
public readonly record struct StableRecord(long Number, ReadOnlyMemory<byte> Content);

/// <summary>Stable storage has failed, is damaged, or is in use. The message says where, and what to do.</summary>
/// <param name="problem">What is wrong, and what to do.</param>
/// <param name="inner">The error of the operating system, if it was one.</param>
public sealed class StableStoreException(string problem, Exception? inner = null) : GroupException(problem, inner);

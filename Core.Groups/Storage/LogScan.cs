// What a segment holds, and whether what is at its end was cut off or damaged.
// Follows: README.md beside this file. Each record names the first record of its fsync, so all before that one were on the
// disk: a bad record that a later one shows to have been there is damage; a bad one that none does was never acknowledged.
namespace Core.Groups.Storage;

/// <param name="Next">The number after the last sound record.</param>
/// <param name="End">Where the last sound record ends.</param>
/// <param name="Damage">What was damaged that had been acknowledged; null: nothing.</param>
internal readonly record struct LogScan(long Next, int End, string? Damage)
{
    public static LogScan Of(ReadOnlySpan<byte> segment, long first)
    {
        long next = first;
        int at = StoreFormat.SegmentHeader;
        while (StoreFormat.TryReadRecord(segment[at..], out long number, out _, out int length) && number == next)
        {
            at += StoreFormat.RecordHeader + length;
            next++;
        }
        long most = next + (segment.Length / StoreFormat.RecordHeader);
        for (int later = at + 1; later <= segment.Length - StoreFormat.RecordHeader; later++)
        {
            // The number first: checksums over garbage would take for ever.
            long claimed = StoreFormat.PeekNumber(segment[later..]);
            if (claimed > next && claimed <= most && StoreFormat.TryReadRecord(segment[later..], out long number, out long batch, out _) && batch > next)
                return new LogScan(next, at, $"record {next} is damaged, and record {number} was written after it was safe");
        }
        return new LogScan(next, at, null);
    }
}

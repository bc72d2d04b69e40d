// Times in buckets that grow with the time: recording costs a few instructions, and a percentile is at most 1/64 too high.
using System.Numerics;
using System.Text.Json.Nodes;

namespace Benchmarks;

/// <summary>Counts durations in ticks of the stopwatch (nanoseconds on Linux). For one thread.</summary>
internal sealed class LatencyHistogram
{
    private const int SubBucketBits = 6;
    private const int SubBuckets = 1 << SubBucketBits;

    private readonly long[] _counts = new long[64 * SubBuckets];

    public long Count { get; private set; }

    public void Record(long ticks)
    {
        _counts[BucketOf(Math.Max(0, ticks))]++;
        Count++;
    }

    /// <summary>The time that a share of all did not exceed; 0 if nothing was recorded.</summary>
    public long Percentile(double share)
    {
        long needed = (long)Math.Ceiling(share * Count);
        long seen = 0;
        for (int bucket = 0; bucket < _counts.Length && needed > 0; bucket++)
        {
            seen += _counts[bucket];
            if (seen >= needed)
                return HighestOf(bucket);
        }

        return 0;
    }

    /// <summary>The usual percentiles, in microseconds.</summary>
    public JsonObject ToJson() => new()
    {
        ["samples"] = Count,
        ["p50"] = Microseconds(0.50),
        ["p99"] = Microseconds(0.99),
        ["p99.9"] = Microseconds(0.999),
    };

    private double Microseconds(double share) => Math.Round(Percentile(share) * 1e6 / System.Diagnostics.Stopwatch.Frequency, 1);

    // Below 64 each number has a bucket; beyond, each power of two has 64 of equal width.
    private static int BucketOf(long ticks)
    {
        if (ticks < SubBuckets)
            return (int)ticks;
        int shift = BitOperations.Log2((ulong)ticks) - SubBucketBits;
        return (shift * SubBuckets) + (int)(ticks >> shift);
    }

    private static long HighestOf(int bucket)
    {
        if (bucket < SubBuckets)
            return bucket;
        int shift = (bucket / SubBuckets) - 1;
        long lowest = (long)(SubBuckets + (bucket % SubBuckets)) << shift;
        return lowest + (1L << shift) - 1;
    }
}

// Loops that call something again and again. What is counted lies between the warm-up and the end.
using System.Diagnostics;
using System.Text.Json.Nodes;

namespace Benchmarks;

/// <summary>Load on a toolkit, and what came of it.</summary>
internal static class Load
{
    /// <summary>Runs loops of an operation.</summary>
    /// <param name="loops">How many at once.</param>
    /// <param name="warmup">Seconds that are not measured.</param>
    /// <param name="seconds">Seconds that are.</param>
    /// <param name="operation">Gets the number of its loop; false: there is nothing left to do.</param>
    /// <param name="ended">Ends everything.</param>
    /// <returns>Operations a second, and the times of the first loop's operations.</returns>
    public static async Task<JsonObject> RunAsync(int loops, double warmup, double seconds, Func<int, ValueTask<bool>> operation, CancellationToken ended)
    {
        var counts = new PaddedCount[loops];
        var state = new State();
        Task[] running = [.. Enumerable.Range(0, loops).Select(loop => Task.Run(() => LoopAsync(loop, counts, state, operation), ended))];
        await WaitAsync(running, warmup, ended);
        var latencies = new LatencyHistogram();
        (long begin, Cost before) = (Sum(counts), Cost.Now);
        state.Latencies = latencies;
        await WaitAsync(running, seconds, ended);
        JsonObject result = Cost.Now.Since(before, Sum(counts) - begin);
        state.Latencies = null;
        state.IsOver = true;
        await Task.WhenAll(running);
        result["us"] = latencies.ToJson();
        return result;
    }

    /// <summary>How fast a number grows that others drive.</summary>
    /// <param name="read">The number.</param>
    /// <param name="warmup">Seconds that are not measured.</param>
    /// <param name="seconds">Seconds that are.</param>
    /// <param name="ended">Ends the wait.</param>
    public static async Task<JsonObject> CountAsync(Func<long> read, double warmup, double seconds, CancellationToken ended)
    {
        await WaitAsync([], warmup, ended);
        (long begin, Cost before) = (read(), Cost.Now);
        await WaitAsync([], seconds, ended);
        return Cost.Now.Since(before, read() - begin);
    }

    /// <summary>Lets time pass.</summary>
    /// <param name="seconds">How much.</param>
    /// <param name="ended">Ends the wait.</param>
    public static Task PassAsync(double seconds, CancellationToken ended) => WaitAsync([], seconds, ended);

    /// <summary>What the process holds, without what it has left.</summary>
    public static long HeapBytes()
    {
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        return GC.GetTotalMemory(forceFullCollection: false);
    }

    private static async Task LoopAsync(int loop, PaddedCount[] counts, State state, Func<int, ValueTask<bool>> operation)
    {
        while (!state.IsOver)
        {
            LatencyHistogram? latencies = loop == 0 ? state.Latencies : null;
            long start = latencies is null ? 0 : Stopwatch.GetTimestamp();
            if (!await operation(loop))
                return;
            latencies?.Record(Stopwatch.GetTimestamp() - start);
            Volatile.Write(ref counts[loop].Value, counts[loop].Value + 1);
        }
    }

    // The time, or less if all loops have nothing left to do.
    private static Task WaitAsync(Task[] running, double seconds, CancellationToken ended)
    {
        Task time = Task.Delay(TimeSpan.FromSeconds(seconds), ended);
        return running.Length == 0 ? time : Task.WhenAny(Task.WhenAll(running), time);
    }

    private static long Sum(PaddedCount[] counts)
    {
        long sum = 0;
        for (int i = 0; i < counts.Length; i++)
            sum += Volatile.Read(ref counts[i].Value);
        return sum;
    }

    /// <summary>What the process has used so far. The work that it does for the others is in it.</summary>
    private readonly record struct Cost(long Time, TimeSpan Cpu, long Allocated)
    {
        public static Cost Now => new(Stopwatch.GetTimestamp(), Environment.CpuUsage.TotalTime, GC.GetTotalAllocatedBytes());

        public JsonObject Since(Cost before, long done)
        {
            double each = Math.Max(1, done);
            return new JsonObject
            {
                ["per_second"] = Math.Round(done / Stopwatch.GetElapsedTime(before.Time, Time).TotalSeconds),
                ["cpu_us"] = Math.Round((Cpu - before.Cpu).TotalMicroseconds / each, 3),
                ["allocated_bytes"] = Math.Round((Allocated - before.Allocated) / each, 1),
            };
        }
    }

    // A cache line each: the loops do not get into each other's way.
    [System.Runtime.InteropServices.StructLayout(System.Runtime.InteropServices.LayoutKind.Sequential, Size = 64)]
    private struct PaddedCount
    {
        public long Value;
    }

    private sealed class State
    {
        public volatile LatencyHistogram? Latencies;
        public volatile bool IsOver;
    }
}

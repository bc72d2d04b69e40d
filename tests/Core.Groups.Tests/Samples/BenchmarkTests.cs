using System.Text.Json.Nodes;
using Benchmarks;

namespace Core.Groups.Tests.Samples;

public sealed class BenchmarkTests
{
    [Fact]
    public void Percentiles_are_at_most_a_64th_too_high()
    {
        var histogram = new LatencyHistogram();
        long[] times = [.. Enumerable.Range(1, 10_000).Select(i => (long)i * i)];
        foreach (long time in times)
            histogram.Record(time);
        foreach (double share in new[] { 0.01, 0.5, 0.9, 0.99, 0.999, 1 })
        {
            long exact = times[(int)Math.Ceiling(share * times.Length) - 1];
            Assert.InRange(histogram.Percentile(share), exact, exact + (exact / 64) + 1);
        }
    }

    [Fact]
    public void An_empty_histogram_and_extreme_times_do_no_harm()
    {
        var histogram = new LatencyHistogram();
        Assert.Equal(0, histogram.Percentile(0.5));
        histogram.Record(-5);
        Assert.Equal(0, histogram.Percentile(1));
        histogram.Record(long.MaxValue);
        Assert.Equal(long.MaxValue, histogram.Percentile(1));
    }

    [Fact]
    public async Task Load_ends_when_there_is_nothing_left_to_do()
    {
        int left = 100;
        JsonObject result = await Load.RunAsync(
            loops: 3, warmup: 0, seconds: 3600, _ => ValueTask.FromResult(Interlocked.Decrement(ref left) >= 0), CancellationToken.None).WaitAsync(TimeSpan.FromMinutes(1));
        Assert.Equal(100 - 103, left); // each loop was told once
        Assert.True((double)result["per_second"]! >= 0);
    }
}

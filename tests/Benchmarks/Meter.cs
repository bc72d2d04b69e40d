// What a member sees of a flood of messages: how many, how late its own, and what they cost the process.
using System.Buffers.Binary;
using System.Diagnostics;
using System.Text.Json.Nodes;
using Core.Groups;

namespace Benchmarks;

/// <summary>Measures deliveries between <see cref="Begin"/> and <see cref="End"/>.</summary>
internal sealed class Meter(GroupNode node)
{
    public const int StampSize = 8;

    private readonly string _name = node.Name;
    private volatile LatencyHistogram? _latencies; // null: not measuring
    private long _delivered; // written by the handler alone
    private Snapshot _begin;

    /// <summary>Writes the time of sending into a body.</summary>
    public static void Stamp(Span<byte> body) => BinaryPrimitives.WriteInt64LittleEndian(body, Stopwatch.GetTimestamp());

    public ValueTask OnMessage(GroupMessage message)
    {
        Volatile.Write(ref _delivered, _delivered + 1);
        if (_latencies is { } latencies && message.From.Name == _name)
            latencies.Record(Stopwatch.GetTimestamp() - BinaryPrimitives.ReadInt64LittleEndian(message.Body.Span));
        return default;
    }

    public void Begin()
    {
        _latencies = new LatencyHistogram();
        _begin = Take();
    }

    public JsonObject End()
    {
        Snapshot end = Take();
        LatencyHistogram latencies = _latencies!;
        _latencies = null;
        long delivered = end.Delivered - _begin.Delivered;
        double each = Math.Max(1, delivered);
        return new JsonObject
        {
            ["messages_per_second"] = Math.Round(delivered / Stopwatch.GetElapsedTime(_begin.At, end.At).TotalSeconds),
            ["self_delivery_us"] = latencies.ToJson(),
            ["cpu_us_per_message"] = Math.Round((end.Cpu - _begin.Cpu).TotalMicroseconds / each, 3),
            ["allocated_bytes_per_message"] = Math.Round((end.Allocated - _begin.Allocated) / each, 1),
        };
    }

    private Snapshot Take() =>
        new(Stopwatch.GetTimestamp(), Volatile.Read(ref _delivered), Environment.CpuUsage.TotalTime, GC.GetTotalAllocatedBytes());

    private readonly record struct Snapshot(long At, long Delivered, TimeSpan Cpu, long Allocated);
}

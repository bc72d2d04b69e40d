// What a node counts for its operators: a snapshot for GetStatistics, and the meter "Core.Groups".
using System.Diagnostics.Metrics;

namespace Core.Groups.Hosting;

/// <summary>The counters of one node. Safe for any thread; cheap when nobody listens.</summary>
internal sealed class HostCounters(string node)
{
    private static readonly Meter Meter = new("Core.Groups");
    private static readonly Counter<long> SentCounter = Meter.CreateCounter<long>("core.groups.messages.sent", "{message}", "Messages accepted for multicast.");
    private static readonly Counter<long> HandledCounter = Meter.CreateCounter<long>("core.groups.messages.handled", "{message}", "Messages that handlers were called with.");
    private static readonly Counter<long> ErrorCounter = Meter.CreateCounter<long>("core.groups.handler.errors", "{error}", "Handlers and state callbacks that threw.");
    private static readonly Counter<long> UndecodableCounter = Meter.CreateCounter<long>("core.groups.messages.undecodable", "{message}", "Messages that no handler could take.");
    private static readonly Counter<long> ExclusionCounter = Meter.CreateCounter<long>("core.groups.exclusions", "{exclusion}", "Incarnations that were excluded.");

    private readonly KeyValuePair<string, object?> _tag = new("node", node);
    private long _undecodable;
    private long _handlerErrors;

    public long Undecodable => Interlocked.Read(ref _undecodable);

    public long HandlerErrors => Interlocked.Read(ref _handlerErrors);

    public void Sent() => SentCounter.Add(1, _tag);

    public void Handled(int messages) => HandledCounter.Add(messages, _tag);

    public void Excluded() => ExclusionCounter.Add(1, _tag);

    public void HandlerFailed()
    {
        Interlocked.Increment(ref _handlerErrors);
        ErrorCounter.Add(1, _tag);
    }

    public void UndecodableMessage()
    {
        Interlocked.Increment(ref _undecodable);
        UndecodableCounter.Add(1, _tag);
    }
}

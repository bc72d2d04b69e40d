// What the node saw, as event lines in the node's own order (the trace contract), with the contents of each delivery.
// Keeps: the trace tells of a delivery before the handler has its body, so lines wait for it and stay in order; a body that
// never comes (the membership was cut off, or the message is another program's) holds nothing up for long.
using System.Buffers;
using System.Text.Json;
using Core.Groups;
using Core.Groups.Tracing;
using Toolkit.Recovery;

namespace GroupShell;

/// <summary>Joins the node's trace events with the bodies that handlers get. Safe for any thread; never throws.</summary>
internal sealed class EventFeed(ILineOutput output)
{
    /// <summary>How many calls of <see cref="Tick"/> a line waits at most for its body.</summary>
    public const int Patience = 5;

    private readonly Lock _gate = new();
    private readonly Queue<Entry> _lines = [];
    private readonly Dictionary<string, Queue<Entry>> _withoutBody = [];
    private readonly Dictionary<string, Entry> _spread = [];
    private readonly Dictionary<string, long[]> _delivered = [];
    private readonly ArrayBufferWriter<byte> _line = new(1024);
    private bool _isOpen;
    private bool _isQuiet;
    private long _ticks;

    /// <summary>Lets the lines out; what came before waits until now.</summary>
    public void Open()
    {
        lock (_gate)
        {
            _isOpen = true;
            Drain();
        }
    }

    /// <summary>Stops or resumes the printing of deliveries. They are counted all the same.</summary>
    public void SetQuiet(bool quiet)
    {
        lock (_gate)
            _isQuiet = quiet;
    }

    /// <summary>The node's events, one at a time, before handlers run.</summary>
    public void OnTraced(TraceEvent traced)
    {
        if (traced.Kind is TraceKind.Send or TraceKind.Call || traced.Group == RecoveryManager.GroupName)
            return; // the recovery managers' group is the library's own
        lock (_gate)
        {
            bool isSpread = traced is { Kind: TraceKind.Deliver, Groups.IsEmpty: false } && !traced.To.Contains(traced.Node.Name);
            bool isGroupDelivery = traced is { Kind: TraceKind.Deliver, Group: not null } && !traced.To.Contains(traced.Node.Name);
            if (isSpread)
                Count(string.Join('+', traced.Groups), traced.Order);
            if (isGroupDelivery)
                Count(traced.Group!, traced.Order);
            if (traced.Kind == TraceKind.Exclude)
                ReleaseAll();
            if (traced.Kind == TraceKind.Deliver && _isQuiet)
                return;
            // Groups of the toolkits' objects (their path, '#' and their kind) have no handler here that could tell a body.
            bool hasBody = isGroupDelivery && !traced.Group!.Contains('#');
            var entry = new Entry(traced, _ticks) { IsReady = !hasBody && !isSpread };
            _lines.Enqueue(entry);
            if (hasBody)
                WaitForBody(traced.Group!, entry);
            if (isSpread)
                _spread[traced.Message!] = entry;
            Drain();
        }
    }

    /// <summary>A handler has the body of a delivery. Completes when the reader of the lines is not far behind.</summary>
    public ValueTask OnHandled(string group, MessageId message, Payload payload)
    {
        lock (_gate)
        {
            if (_spread.Remove(message.ToString(), out Entry? spread))
            {
                // To several groups: handled in one of them, whichever that is.
                spread.Payload = payload;
                spread.IsReady = true;
                Drain();
            }
            else if (_withoutBody.TryGetValue(group, out Queue<Entry>? waiting) && Contains(waiting, message.ToString(), out string id))
            {
                // Handlers run in delivery order: what stands before this one will not be handled any more.
                Entry entry;
                do
                {
                    entry = waiting.Dequeue();
                    entry.IsReady = true;
                }
                while (entry.Traced!.Message != id);
                entry.Payload = payload;
                Drain();
            }
        }

        return output.WhenDrained();
    }

    /// <summary>A delivery that is the library's own, and brings nothing: it is not told.</summary>
    public void Drop(string group, MessageId message)
    {
        lock (_gate)
        {
            if (_withoutBody.TryGetValue(group, out Queue<Entry>? waiting) && waiting.FirstOrDefault(e => e.Traced!.Message == message.ToString()) is { } entry)
                (entry.IsReady, entry.IsDropped) = (true, true);
            Drain();
        }
    }

    /// <summary>A change of a group's configuration data; what was delivered in the group before has been handled.</summary>
    /// <param name="value">JSON; null: the entry was removed.</param>
    public ValueTask OnConfigured(string group, string key, string? value)
    {
        var line = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(line, Answers.WriterOptions))
        {
            json.WriteStartObject();
            json.WriteString("ev", "configured");
            json.WriteString("group", group);
            json.WriteString("key", key);
            json.WritePropertyName("value");
            Value(value).WriteTo(json);
            json.WriteEndObject();
        }

        lock (_gate)
        {
            _lines.Enqueue(new Entry(null, _ticks) { IsReady = true, Line = line.WrittenMemory });
            Drain();
        }

        return output.WhenDrained();
    }

    /// <summary>To be called about once a second: what has waited too long goes without its body.</summary>
    public void Tick()
    {
        lock (_gate)
        {
            // Ticks, not time: a process that was frozen has not waited.
            _ticks++;
            while (_lines.TryPeek(out Entry? first) && !first.IsReady && _ticks - first.Tick > Patience)
            {
                first.IsReady = true;
                Drain();
            }
        }
    }

    /// <summary>The node has ended: no more bodies come.</summary>
    public void Close()
    {
        lock (_gate)
        {
            ReleaseAll();
            Drain();
        }
    }

    /// <summary>Deliveries so far: per group and order.</summary>
    public void WriteCounts(Utf8JsonWriter json)
    {
        lock (_gate)
        {
            json.WriteStartObject("delivered");
            foreach ((string group, long[] counts) in _delivered)
            {
                json.WriteStartObject(group);
                foreach (Order order in OrderNames.All)
                {
                    if (counts[(int)order] > 0)
                        json.WriteNumber(OrderNames.Of(order), counts[(int)order]);
                }

                json.WriteEndObject();
            }

            json.WriteEndObject();
        }
    }

    // Another program may have set a value that is no JSON: it is shown as a text.
    private static JsonElement Value(string? value)
    {
        try
        {
            return value is null ? JsonElement.Parse("null") : JsonElement.Parse(value);
        }
        catch (JsonException)
        {
            return JsonSerializer.SerializeToElement(value, ShellJson.Default.String);
        }
    }

    private void WaitForBody(string group, Entry entry)
    {
        if (!_withoutBody.TryGetValue(group, out Queue<Entry>? waiting))
            _withoutBody.Add(group, waiting = []);

        // Given up by Tick, in order: they must not pile up here.
        while (waiting.TryPeek(out Entry? first) && first.IsReady)
            waiting.Dequeue();
        waiting.Enqueue(entry);
    }

    private static bool Contains(Queue<Entry> waiting, string message, out string id)
    {
        id = message;
        foreach (Entry entry in waiting)
        {
            if (entry.Traced!.Message == message)
                return true;
        }

        return false;
    }

    private void ReleaseAll()
    {
        foreach (Entry entry in _lines)
            entry.IsReady = true;
        _withoutBody.Clear();
        _spread.Clear();
    }

    private void Drain()
    {
        while (_isOpen && _lines.TryPeek(out Entry? first) && first.IsReady)
        {
            Write(_lines.Dequeue());
        }
    }

    private void Write(Entry entry)
    {
        if (entry.IsDropped)
        {
            return;
        }

        if (entry.Line is { } line)
        {
            output.Append(line.Span);
            return;
        }

        _line.ResetWrittenCount();
        TraceLineFormat.Write(entry.Traced!, _line);
        if (entry.Payload is not { } payload)
        {
            output.Append(_line.WrittenSpan[..^1]); // without the line feed
            return;
        }

        // The trace's object, one field longer: in place of `}` and the line feed.
        var longer = new ArrayBufferWriter<byte>(_line.WrittenCount + 64);
        longer.Write(_line.WrittenSpan[..^2]);
        longer.Write(payload.Text is null ? ",\"size\":"u8 : ",\"text\":"u8);
        using (var json = new Utf8JsonWriter(longer, Answers.WriterOptions))
        {
            if (payload.Text is null)
                json.WriteNumberValue(payload.Size);
            else
                json.WriteStringValue(payload.Text);
        }

        longer.Write("}"u8);
        output.Append(longer.WrittenSpan);
    }

    private void Count(string group, Order order)
    {
        if (!_delivered.TryGetValue(group, out long[]? counts))
            _delivered.Add(group, counts = new long[OrderNames.All.Length]);
        counts[(int)order]++;
    }

    private sealed class Entry(TraceEvent? traced, long tick)
    {
        public TraceEvent? Traced { get; } = traced;
        public long Tick { get; } = tick;
        public Payload? Payload { get; set; }
        public bool IsReady { get; set; }
        public bool IsDropped { get; set; }

        /// <summary>A line that no trace has, in place of the event.</summary>
        public ReadOnlyMemory<byte>? Line { get; init; }
    }
}

using System.Text;
using System.Text.Json.Nodes;
using Core.Groups.Tracing;
using GroupShell;

namespace Core.Groups.Tests.Samples;

public sealed class EventFeedTests
{
    private static readonly NodeId Node = new("a", 1);
    private readonly Lines _output = new();
    private readonly EventFeed _feed;
    private long _sequence;

    public EventFeedTests()
    {
        _feed = new EventFeed(_output);
        _feed.Open();
    }

    [Fact]
    public void A_delivery_waits_for_its_body_and_holds_what_is_behind_it()
    {
        MessageId first = Deliver("/g");
        MessageId second = Deliver("/h");
        Trace(TraceKind.Block);
        Assert.Empty(_output.Shown);

        Handle("/h", second, new Payload(null, 7));
        Assert.Empty(_output.Shown);

        Handle("/g", first, new Payload("SUN \"51\"", 0));
        Assert.Equal(["deliver /g SUN \"51\"", "deliver /h 7", "block"], _output.Shown);
    }

    [Fact]
    public void Sends_and_calls_are_no_events()
    {
        Trace(TraceKind.Send);
        Trace(TraceKind.Call);
        Trace(TraceKind.Unblock);
        Assert.Equal(["unblock"], _output.Shown);
    }

    [Fact]
    public void Nothing_comes_before_the_feed_is_opened()
    {
        var output = new Lines();
        var feed = new EventFeed(output);
        feed.OnTraced(new TraceEvent { Kind = TraceKind.Block, Node = Node, Time = default });
        Assert.Empty(output.Shown);
        feed.Open();
        Assert.Equal(["block"], output.Shown);
    }

    [Fact]
    public void A_body_that_is_passed_over_holds_nothing_up()
    {
        Deliver("/g");
        MessageId second = Deliver("/g");
        Handle("/g", second, new Payload("b", 0));
        Assert.Equal(["deliver /g", "deliver /g b"], _output.Shown);
    }

    [Fact]
    public void A_body_that_never_comes_holds_nothing_up_for_long()
    {
        MessageId late = Deliver("/g");
        for (int i = 0; i < EventFeed.Patience; i++)
            _feed.Tick();
        Assert.Empty(_output.Shown);
        _feed.Tick();
        Assert.Equal(["deliver /g"], _output.Shown);

        Handle("/g", late, new Payload("late", 0)); // nothing waits for it any more
        MessageId next = Deliver("/g");
        Handle("/g", next, new Payload("next", 0));
        Assert.Equal(["deliver /g", "deliver /g next"], _output.Shown);
    }

    [Fact]
    public void After_an_exclusion_no_body_is_waited_for()
    {
        Deliver("/g");
        Trace(TraceKind.Exclude);
        Assert.Equal(["deliver /g", "exclude"], _output.Shown);
    }

    [Fact]
    public void A_quiet_feed_counts_and_prints_no_deliveries()
    {
        _feed.SetQuiet(true);
        Handle("/g", Deliver("/g"), new Payload("a", 0));
        Trace(TraceKind.Block);
        _feed.SetQuiet(false);
        Handle("/g", Deliver("/g"), new Payload("b", 0));
        Assert.Equal(["block", "deliver /g b"], _output.Shown);

        using var counts = new MemoryStream();
        using (var json = new System.Text.Json.Utf8JsonWriter(counts))
        {
            json.WriteStartObject();
            _feed.WriteCounts(json);
            json.WriteEndObject();
        }

        Assert.Equal("{\"delivered\":{\"/g\":{\"total\":2}}}", Encoding.UTF8.GetString(counts.ToArray()));
    }

    private MessageId Deliver(string group)
    {
        var id = new MessageId(Node, 1, ++_sequence);
        _feed.OnTraced(new TraceEvent
        {
            Kind = TraceKind.Deliver, Node = Node, Time = default, Group = group, Message = id.ToString(), Order = Order.Total, From = "a",
        });
        return id;
    }

    private void Trace(TraceKind kind) => _feed.OnTraced(new TraceEvent { Kind = kind, Node = Node, Time = default });

    private void Handle(string group, MessageId message, Payload payload) =>
        Assert.True(_feed.OnHandled(group, message, payload).AsTask().IsCompletedSuccessfully);

    private sealed class Lines : ILineOutput
    {
        public List<string> Shown { get; } = [];

        public void Append(ReadOnlySpan<byte> line)
        {
            JsonNode shown = JsonNode.Parse(line)!; // whole and alone on its line
            Shown.Add($"{shown["ev"]} {shown["group"]} {shown["text"]}{shown["size"]}".TrimEnd());
        }

        public ValueTask WhenDrained() => default;
    }
}

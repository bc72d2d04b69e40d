using System.Buffers;
using System.Text;
using Core.Groups.Tests.Checkers;
using Core.Groups.Tracing;

namespace Core.Groups.Tests.Tracing;

/// <summary>The trace contract, line by line.</summary>
public sealed class TraceLineTests
{
    [Theory]
    [InlineData("a.7 conf 3@a.7 [a.7 b.2] primary", """
        {"p":"a","inc":7,"t":0,"ev":"conf","conf":"3@a.7","type":"regular","members":["a","b"],"incs":[7,2],"primary":true}
        """)]
    [InlineData("a trans c2 [a]", """
        {"p":"a","inc":1,"t":0,"ev":"conf","conf":"c2","type":"transitional","members":["a"],"incs":[1],"primary":false}
        """)]
    [InlineData("a view /g 2 v2 [a b.3] +b.3 -c", """
        {"p":"a","inc":1,"t":0,"ev":"view","group":"/g","view":2,"id":"v2","members":["a","b"],"incs":[1,3],"joined":["b"],"left":["c"],"primary":true}
        """)]
    [InlineData("a leave /g", """{"p":"a","inc":1,"t":0,"ev":"leave","group":"/g"}""")]
    [InlineData("a send m1 causal-total /g label=L call=4 for=x", """
        {"p":"a","inc":1,"t":0,"ev":"send","msg":"m1","order":"causal-total","group":"/g","label":"L","call":4,"for":"x"}
        """)]
    [InlineData("a send m1 group /g,/h", """{"p":"a","inc":1,"t":0,"ev":"send","msg":"m1","order":"group","groups":["/g","/h"]}""")]
    [InlineData("a send m1 causal to=b+c", """{"p":"a","inc":1,"t":0,"ev":"send","msg":"m1","order":"causal","to":["b","c"]}""")]
    [InlineData("a state /g 3", """{"p":"a","inc":1,"t":0,"ev":"state","group":"/g","view":3}""")]
    [InlineData("a call 9", """{"p":"a","inc":1,"t":0,"ev":"call","call":9}""")]
    [InlineData("a block", """{"p":"a","inc":1,"t":0,"ev":"block"}""")]
    [InlineData("a unblock", """{"p":"a","inc":1,"t":0,"ev":"unblock"}""")]
    [InlineData("a exclude", """{"p":"a","inc":1,"t":0,"ev":"exclude"}""")]
    [InlineData("a fail", """{"p":"a","inc":1,"t":0,"ev":"fail"}""")]
    public void An_event_is_written_as_the_contract_says_and_read_back(string text, string json)
    {
        TraceEvent line = Assert.Single(TextHistory.ParseEvents(text));
        Assert.Equal(json.Trim() + "\n", Format(line));
        Assert.Equal(json.Trim() + "\n", Format(TraceReader.ParseLine(Encoding.UTF8.GetBytes(json))));
    }

    [Fact]
    public void A_delivery_names_its_sender()
    {
        TraceEvent line = TextHistory.ParseEvents("b send m1 total /g call=3\na deliver m1")[1];
        const string Expected = """{"p":"a","inc":1,"t":1000000,"ev":"deliver","msg":"m1","order":"total","group":"/g","from":"b"}""" + "\n";
        Assert.Equal(Expected, Format(line));
        Assert.Equal(Expected, Format(TraceReader.ParseLine(Encoding.UTF8.GetBytes(Expected))));
    }

    [Fact]
    public void A_name_with_line_breaks_and_quotes_stays_one_line()
    {
        var line = new TraceEvent { Kind = TraceKind.Block, Node = new NodeId("a\n\"ü", 1), Time = TimeSpan.Zero };
        string text = Format(line);
        Assert.Equal(text.Length - 1, text.IndexOf('\n', StringComparison.Ordinal));
        Assert.Equal(line.Node, TraceReader.ParseLine(Encoding.UTF8.GetBytes(text)).Node);
    }

    [Theory]
    [InlineData("", "not a JSON object")]
    [InlineData("[]", "must be one JSON object")]
    [InlineData("7", "must be one JSON object")]
    [InlineData("{", "not a JSON object")]
    [InlineData("""{"p":"a","inc":1,"t":0,"ev":"block"} x""", "not a JSON object")]
    [InlineData("""{"p":"a","inc":1,"t":0,"ev":"block"}{}""", "not a JSON object")]
    [InlineData("""{"p":"a","inc":1,"t":0}""", "\"ev\" is missing")]
    [InlineData("""{"p":"a","inc":1,"t":0,"ev":"dance"}""", "unknown event \"dance\"")]
    [InlineData("""{"p":"a","inc":1,"t":0,"ev":"block","colour":"red"}""", "unknown field \"colour\"")]
    [InlineData("""{"p":"a","inc":1,"t":0,"ev":"block","group":"/g"}""", "does not belong to \"block\"")]
    [InlineData("""{"p":"a","p":"b","inc":1,"t":0,"ev":"block"}""", "stands twice")]
    [InlineData("""{"p":7,"inc":1,"t":0,"ev":"block"}""", "\"p\" must be a string")]
    [InlineData("""{"p":"a","inc":1.5,"t":0,"ev":"block"}""", "\"inc\" must be a whole number")]
    [InlineData("""{"p":"a","inc":-1,"t":0,"ev":"block"}""", "\"inc\" must be a whole number")]
    [InlineData("""{"p":"a","inc":99999999999999999999,"t":0,"ev":"block"}""", "\"inc\" must be a whole number")]
    [InlineData("""{"p":"a","inc":1,"t":0,"ev":"state","group":"/g"}""", "\"view\" is missing")]
    [InlineData("""{"p":"a","inc":1,"t":0,"ev":"send","msg":"m","order":"best"}""", "unknown order \"best\"")]
    [InlineData("""{"p":"a","inc":1,"t":0,"ev":"conf","conf":"c","type":"odd","members":[],"incs":[],"primary":true}""", "unknown type")]
    [InlineData("""{"p":"a","inc":1,"t":0,"ev":"conf","conf":"c","type":"regular","members":["a"],"incs":[],"primary":true}""", "1 members, but 0 incarnations")]
    [InlineData("""{"p":"a","inc":1,"t":0,"ev":"conf","conf":"c","type":"regular","members":"a","incs":[],"primary":true}""", "\"members\" must be an array")]
    [InlineData("""{"p":"a","inc":1,"t":0,"ev":"conf","conf":"c","type":"regular","members":[["a"]],"incs":[],"primary":true}""", "not a JSON object")]
    [InlineData("""{"p":"a","inc":1,"t":0,"ev":"conf","conf":"c","type":"regular","members":[],"incs":[],"primary":1}""", "must be true or false")]
    [InlineData("""{"p":"\ud800","inc":1,"t":0,"ev":"block"}""", "not a JSON object")]
    public void A_line_that_the_contract_does_not_allow_is_refused(string json, string words)
    {
        var error = Assert.Throws<TraceFormatException>(() => TraceReader.ParseLine(Encoding.UTF8.GetBytes(json)));
        Assert.Contains(words, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void No_bytes_make_the_reader_fail_in_another_way()
    {
        byte[] line = Encoding.UTF8.GetBytes("""{"p":"a","inc":1,"t":0,"ev":"conf","conf":"c","type":"regular","members":["a"],"incs":[1],"primary":true}""");
        var random = new Random(1);
        for (int i = 0; i < 20_000; i++)
        {
            byte[] broken = [.. line];
            for (int j = random.Next(4); j >= 0; j--)
                broken[random.Next(broken.Length)] = (byte)random.Next(256);
            try
            {
                TraceReader.ParseLine(broken.AsSpan(0, random.Next(broken.Length + 1)));
            }
            catch (TraceFormatException)
            {
                // What is not a line is refused in this way alone.
            }
        }
    }

    internal static string Format(TraceEvent line)
    {
        var output = new ArrayBufferWriter<byte>();
        TraceLineFormat.Write(line, output);
        return Encoding.UTF8.GetString(output.WrittenSpan);
    }
}

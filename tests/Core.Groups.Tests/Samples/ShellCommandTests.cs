using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using GroupShell;
using GroupShell.Interactive;

namespace Core.Groups.Tests.Samples;

public sealed class ShellCommandTests
{
    [Theory]
    [InlineData("250ms", 250)]
    [InlineData("5s", 5_000)]
    [InlineData("1.5s", 1_500)]
    [InlineData("2m", 120_000)]
    [InlineData("0ms", 0)]
    public void Durations_have_a_unit(string text, double milliseconds)
    {
        Assert.True(Durations.TryParse(text, out TimeSpan duration));
        Assert.Equal(milliseconds, duration.TotalMilliseconds);
    }

    [Theory]
    [InlineData("5")]
    [InlineData("-5s")]
    [InlineData("s")]
    [InlineData("")]
    [InlineData("5 s")]
    [InlineData("1e3s")]
    [InlineData("999999999h")]
    [InlineData(null)]
    public void What_is_no_duration_is_refused(string? text) => Assert.False(Durations.TryParse(text, out _));

    [Fact]
    public void A_payload_comes_out_as_it_went_in()
    {
        foreach (Payload payload in new Payload[] { new("", 0), new("SUN 51.5 €", 0), new(null, 0), new(null, 1000) })
        {
            Assert.Equal(payload, Payload.Read(payload.ToBody()));
        }
    }

    [Fact]
    public void Any_bytes_can_be_shown()
    {
        Assert.Equal(new Payload(null, 0), Payload.Read([]));
        Assert.Equal(new Payload(null, 3), Payload.Read([7, 8, 9]));
        Assert.NotNull(Payload.Read([(byte)'t', 0xFF, 0xC0]).Text);
    }

    [Theory]
    [InlineData("", "bad-json")]
    [InlineData("{", "bad-json")]
    [InlineData("[1]", "bad-json")]
    [InlineData("\"config\"", "bad-json")]
    [InlineData("{\"id\":1}", "bad-field")]
    [InlineData("{\"id\":1,\"op\":7}", "bad-field")]
    [InlineData("{\"id\":1,\"op\":\"\\ud800\"}", "bad-field")]
    public void A_line_that_is_no_command_is_an_error(string line, string code)
    {
        var error = Assert.Throws<ShellException>(() => CommandLine.Parse(Encoding.UTF8.GetBytes(line), out _, out _));
        Assert.Equal(code, error.Code);
    }

    [Fact]
    public void A_wrong_command_is_answered_under_its_id()
    {
        JsonElement id = default;
        Assert.Throws<ShellException>(() => CommandLine.Parse("{\"id\":\"x1\"}"u8.ToArray(), out id, out _));
        Assert.Equal("x1", id.GetString());
    }

    [Fact]
    public void Lines_beyond_the_bound_and_bytes_that_are_no_text_are_errors()
    {
        Assert.Equal("line-too-long", Assert.Throws<ShellException>(() => CommandLine.Parse(null, out _, out _)).Code);
        Assert.Equal("bad-json", Assert.Throws<ShellException>(() => CommandLine.Parse([0xFF, 0xFE, 0], out _, out _)).Code);
    }

    [Fact]
    public async Task Every_operation_is_in_the_help_and_the_help_has_no_others()
    {
        await using GroupNode node = await GroupNode.StartAsync(new GroupNodeOptions { Name = "a" });
        var answers = new Answers(new NoOutput());
        var shell = new global::GroupShell.Shell(node, new EventFeed(new NoOutput()), answers, new Migrants(), logsAll: false);
        string[] documented = [.. Phrase.Table.Select(row => row.Operation)];
        Assert.Equal([.. shell.Operations.Concat(["crash", "stop"]).Order()], documented.Order());

        await using GroupClient client = await GroupClient.ConnectAsync(new GroupClientOptions { Nodes = [node.ListenAddress] });
        Assert.All(new ClientShell(client, answers).Operations, operation => Assert.Contains(operation, documented));
        Assert.Equal("unknown-operation", CommandLine.Unknown("lock.acquired").Code);
    }

    [Theory]
    [InlineData("join /g entries=tell,7 logged=true", "{\"op\":\"join\",\"group\":\"/g\",\"entries\":[\"tell\",7],\"logged\":true}")]
    [InlineData("request /g total how are you entry=7 replies=majority", "{\"op\":\"request\",\"group\":\"/g\",\"order\":\"total\",\"text\":\"how are you\",\"entry\":7,\"replies\":\"majority\"}")]
    [InlineData("join /g state=5000000000 streamed=true", "{\"op\":\"join\",\"group\":\"/g\",\"state\":5000000000,\"streamed\":true}")]
    [InlineData("join-all /many/ 1000", "{\"op\":\"join-all\",\"prefix\":\"/many/\",\"count\":1000}")]
    [InlineData("delete-all groups=/g,/h", "{\"op\":\"delete-all\",\"groups\":[\"/g\",\"/h\"]}")]
    [InlineData("log.override /g a,b", "{\"op\":\"log.override\",\"group\":\"/g\",\"members\":[\"a\",\"b\"]}")]
    public void What_a_person_types_becomes_the_command_of_a_program(string line, string command) =>
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(command), Phrase.Translate(line)), Phrase.Translate(line)!.ToJsonString());

    private sealed class NoOutput : ILineOutput
    {
        public void Append(ReadOnlySpan<byte> line) { }

        public ValueTask WhenDrained() => default;
    }

    [Theory]
    [InlineData("{}", "group")]
    [InlineData("{\"group\":\"\"}", "group")]
    [InlineData("{\"group\":5}", "group")]
    [InlineData("{\"group\":\"/g\",\"order\":\"quick\"}", "order")]
    [InlineData("{\"group\":\"/g\",\"order\":\"total\"}", "text")]
    [InlineData("{\"group\":\"/g\",\"order\":\"total\",\"text\":\"a\",\"size\":1}", "text")]
    [InlineData("{\"group\":\"/g\",\"order\":\"total\",\"size\":-1}", "size")]
    [InlineData("{\"group\":\"/g\",\"order\":\"total\",\"size\":1.5}", "size")]
    [InlineData("{\"group\":\"/g\",\"order\":\"total\",\"text\":\"a\",\"count\":0}", "count")]
    [InlineData("{\"group\":\"/g\",\"order\":\"total\",\"text\":\"a\",\"replies\":\"some\"}", "replies")]
    [InlineData("{\"group\":\"/g\",\"order\":\"total\",\"text\":\"a\",\"replies\":0}", "replies")]
    [InlineData("{\"group\":\"/g\",\"order\":\"total\",\"text\":\"a\",\"timeout\":5}", "timeout")]
    public void A_bad_field_is_named(string command, string field)
    {
        CommandFields fields = Fields(command);
        var error = Assert.Throws<ShellException>(() => (fields.Name("group"), fields.Order(), fields.Payload(), fields.Count(), fields.Replies(), fields.Timeout()));
        Assert.Equal("bad-field", error.Code);
        Assert.Contains($"'{field}'", error.Message);
    }

    [Fact]
    public void Fields_that_are_not_there_have_their_usual_values()
    {
        CommandFields fields = Fields("{\"group\":\"/g\",\"order\":\"causal-total\",\"size\":10,\"unheard-of\":1,\"timeout\":null}");
        Assert.Equal(Order.CausalTotal, fields.Order());
        Assert.Equal(new Payload(null, 10), fields.Payload());
        Assert.Equal(1, fields.Count());
        Assert.Equal(Replies.All, fields.Replies());
        Assert.Equal(Timeout.InfiniteTimeSpan, fields.Timeout());
    }

    [Fact]
    public void Many_groups_are_named_one_by_one_or_numbered()
    {
        Assert.Equal(["/g", "/h"], Fields("{\"groups\":[\"/g\",\"/h\",\"/g\"]}").ManyGroups());
        Assert.Equal(["/m/1", "/m/2"], Fields("{\"prefix\":\"/m/\",\"count\":2}").ManyGroups());
        foreach (string wrong in (string[])["{}", "{\"groups\":[]}", "{\"groups\":[\"/g\"],\"prefix\":\"/m/\",\"count\":2}", "{\"prefix\":\"/m/\"}", "{\"prefix\":\"/m/\",\"count\":0}"])
            Assert.Equal("bad-field", Assert.Throws<ShellException>(() => Fields(wrong).ManyGroups()).Code);
    }

    [Fact]
    public async Task Lines_are_read_whatever_their_ends_and_lengths()
    {
        using var input = new MemoryStream(Encoding.UTF8.GetBytes($"one\n\n{new string('x', 50)}\ntwo\r\nlast"));
        List<string?> lines = [];
        await foreach (byte[]? line in new LineInput(input, longestLine: 20).ReadAsync(CancellationToken.None))
            lines.Add(line is null ? null : Encoding.UTF8.GetString(line));
        Assert.Equal(["one", "", null, "two\r", "last"], lines);
    }

    [Theory]
    [InlineData("send /prices total SUN  51.5", "{\"op\":\"send\",\"group\":\"/prices\",\"order\":\"total\",\"text\":\"SUN 51.5\"}")]
    [InlineData("send /prices fifo size=100 count=5", "{\"op\":\"send\",\"group\":\"/prices\",\"order\":\"fifo\",\"size\":100,\"count\":5}")]
    [InlineData("request /g total a=b replies=2", "{\"op\":\"request\",\"group\":\"/g\",\"order\":\"total\",\"text\":\"a=b\",\"replies\":2}")]
    [InlineData("groups @NewYork:/", "{\"op\":\"groups\",\"prefix\":\"@NewYork:/\"}")]
    [InlineData("kill /g enough of it", "{\"op\":\"kill\",\"group\":\"/g\",\"text\":\"enough of it\"}")]
    [InlineData("migrate /g c", "{\"op\":\"migrate\",\"group\":\"/g\",\"to\":\"c\"}")]
    [InlineData("request groups=/g,/h total who", "{\"op\":\"request\",\"groups\":[\"/g\",\"/h\"],\"order\":\"total\",\"text\":\"who\"}")]
    [InlineData("send /g total x to=a,b", "{\"op\":\"send\",\"group\":\"/g\",\"order\":\"total\",\"text\":\"x\",\"to\":[\"a\",\"b\"]}")]
    [InlineData("configure /g feed 5", "{\"op\":\"configure\",\"group\":\"/g\",\"key\":\"feed\",\"value\":5}")]
    [InlineData("quiet on", "{\"op\":\"quiet\",\"on\":true}")]
    [InlineData("config", "{\"op\":\"config\"}")]
    public void What_a_person_types_is_what_a_program_sends(string typed, string command) =>
        Assert.Equal(command, global::GroupShell.Interactive.Phrase.Translate(typed)!.ToJsonString());

    private static CommandFields Fields(string command) => new(JsonDocument.Parse(command).RootElement);
}

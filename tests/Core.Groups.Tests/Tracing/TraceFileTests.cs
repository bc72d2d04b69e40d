using System.Text;
using Core.Groups.Testing.Checkers;
using Core.Groups.Tests.Checkers;
using Core.Groups.Tracing;

namespace Core.Groups.Tests.Tracing;

/// <summary>Trace files: written, torn, failing, read back.</summary>
public sealed class TraceFileTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("traces-").FullName;
    private readonly List<string> errors = [];

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public void Lines_are_with_the_operating_system_after_a_flush()
    {
        using TraceFile file = TraceFile.Open(Path.Combine(folder, "new"), new NodeId("a", 7), errors.Add);
        string path = Path.Combine(folder, "new", "a.7.jsonl");
        file.Append(Line(1));
        Assert.Empty(TraceReader.ReadFile(path).Events);
        file.Flush();
        Assert.Single(TraceReader.ReadFile(path).Events);
        file.Append(Line(2));
        file.Append(Line(3));
        file.Flush();
        Assert.Equal([1, 2, 3], TraceReader.ReadFile(path).Events.Select(line => line.Call));
        Assert.Empty(errors);
    }

    [Fact]
    public void A_folder_becomes_a_history()
    {
        foreach (NodeId node in new[] { new NodeId("a", 1), new NodeId("b/x", 2) })
        {
            using TraceFile file = TraceFile.Open(folder, node, errors.Add);
            file.Append(Line(1) with { Node = node });
        }
        History history = History.FromFolder(folder);
        Assert.Equal([new NodeId("a", 1), new NodeId("b/x", 2)], history.Nodes);
        Assert.Equal(2, history.Count);
    }

    [Theory]
    [InlineData("node-1", "node-1.5.jsonl")]
    [InlineData("a/../b", "a%2F..%2Fb.5.jsonl")]
    [InlineData("ü%", "%C3%BC%25.5.jsonl")]
    public void A_name_is_made_fit_for_file_systems(string name, string expected) =>
        Assert.Equal(expected, TraceFile.FileNameOf(new NodeId(name, 5)));

    [Fact]
    public void A_file_that_cannot_be_made_is_reported_and_does_no_harm()
    {
        File.WriteAllText(Path.Combine(folder, "a.1.jsonl"), "another run's");
        using (TraceFile file = TraceFile.Open(folder, new NodeId("a", 1), errors.Add))
        {
            file.Append(Line(1));
            file.Flush();
            Assert.False(file.IsOpen);
        }
        Assert.Contains("No trace is written", Assert.Single(errors), StringComparison.Ordinal);
        Assert.Equal("another run's", File.ReadAllText(Path.Combine(folder, "a.1.jsonl")));
    }

    [Fact]
    public void A_write_that_fails_half_way_is_reported_once_and_done_again_at_the_same_place()
    {
        var disk = new FailingDisk();
        using var file = new TraceFile(disk, "trace", errors.Add);
        file.Append(Line(1));
        file.Flush();
        disk.Room = 10;
        file.Append(Line(2));
        file.Flush();
        file.Append(Line(3));
        file.Flush();
        Assert.NotNull(disk.Read().TornTail);
        Assert.Single(errors);
        disk.Room = int.MaxValue;
        file.Flush();
        Assert.Equal([1, 2, 3], disk.Read().Events.Select(line => line.Call));
        Assert.Null(disk.Read().TornTail);
        Assert.Single(errors);
    }

    [Fact]
    public void A_disk_that_fails_for_too_long_ends_the_trace_behind_a_whole_line()
    {
        var disk = new FailingDisk();
        using var file = new TraceFile(disk, "trace", errors.Add);
        file.Append(Line(1));
        file.Flush();
        disk.Room = 10;
        for (int i = 0; file.IsOpen; i++)
        {
            Assert.True(i < TraceFile.MaximumWaiting, "what waits is not bounded");
            file.Append(Line(2) with { Node = new NodeId(new string('n', 100_000), 1) });
            file.Flush();
        }
        disk.Room = int.MaxValue;
        file.Append(Line(3));
        file.Flush();
        Assert.Equal([1], disk.Read().Events.Select(line => line.Call));
        Assert.Null(disk.Read().TornTail);
        Assert.True(disk.IsClosed);
        Assert.Equal(2, errors.Count);
    }

    [Fact]
    public void A_listener_that_throws_does_no_harm()
    {
        var disk = new FailingDisk { Room = 0 };
        using var file = new TraceFile(disk, "trace", _ => throw new InvalidOperationException());
        file.Append(Line(1));
        file.Flush();
        Assert.True(file.IsOpen);
    }

    [Fact]
    public void Half_a_line_at_the_end_is_reported_and_forgiven()
    {
        TraceFileContents contents = Read(TraceLineTests.Format(Line(1)) + """{"p":"a","inc":1,"t":0,"ev":"ca""");
        Assert.Single(contents.Events);
        Assert.StartsWith("{\"p\":\"a\"", contents.TornTail, StringComparison.Ordinal);
    }

    [Fact]
    public void A_last_line_that_lacks_only_its_line_feed_counts()
    {
        TraceFileContents contents = Read(TraceLineTests.Format(Line(1)) + TraceLineTests.Format(Line(2)).TrimEnd('\n'));
        Assert.Equal(2, contents.Events.Count);
        Assert.Null(contents.TornTail);
    }

    [Fact]
    public void Garbage_in_the_middle_is_an_error_that_names_the_place()
    {
        string text = TraceLineTests.Format(Line(1)) + "{\"p\":\"a\n" + TraceLineTests.Format(Line(2));
        Assert.StartsWith("file, line 2: not a JSON object", Assert.Throws<TraceFormatException>(() => Read(text)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_line_of_another_node_is_an_error()
    {
        string text = TraceLineTests.Format(Line(1)) + TraceLineTests.Format(Line(2) with { Node = new NodeId("b", 1) });
        Assert.Contains("a line of b.1 in the file of a.1", Assert.Throws<TraceFormatException>(() => Read(text)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_line_without_end_is_an_error_and_not_a_full_memory()
    {
        string text = new('x', 2 * TraceReader.MaximumLineLength);
        Assert.Contains("longer than", Assert.Throws<TraceFormatException>(() => Read(text)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Many_lines_are_read_across_the_pieces_of_the_file()
    {
        string text = string.Concat(Enumerable.Range(1, 5000).Select(i => TraceLineTests.Format(Line(i))));
        Assert.Equal(Enumerable.Range(1, 5000), Read(text).Events.Select(line => (int)line.Call));
    }

    private static TraceEvent Line(int call) => TextHistory.ParseEvents($"a call {call}")[0];

    private static TraceFileContents Read(string text) => TraceReader.Read(new MemoryStream(Encoding.UTF8.GetBytes(text)), "file");

    /// <summary>A disk that writes what it has room for and then fails.</summary>
    private sealed class FailingDisk : ITraceSink
    {
        private readonly MemoryStream content = new();

        public int Room { get; set; } = int.MaxValue;
        public bool IsClosed { get; private set; }

        public void Write(ReadOnlySpan<byte> bytes, long offset)
        {
            content.Position = offset;
            content.Write(bytes[..Math.Min(bytes.Length, Room)]);
            if (bytes.Length > Room)
                throw new IOException("No space left on device");
        }

        public void Truncate(long length) => content.SetLength(length);

        public void Dispose() => IsClosed = true;

        public TraceFileContents Read() => TraceReader.Read(new MemoryStream(content.ToArray()), "disk");
    }
}

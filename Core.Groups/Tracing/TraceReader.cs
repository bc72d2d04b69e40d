// Traces from disk: lines, files, folders -> events.
// Keeps: bounded memory per line; garbage is an error that names file and line, and only one thing is forgiven: half a
// line at the end of a file, which a killed process leaves behind (design: trace.md). It is reported, not hidden.
using System.Globalization;

namespace Core.Groups.Tracing;

/// <summary>What one trace file holds.</summary>
/// <param name="Path">The file.</param>
/// <param name="Events">Its events, in the node's own order.</param>
/// <param name="TornTail">The half line at the end of the file, shortened; null if the file ends well.</param>
public sealed record TraceFileContents(string Path, IReadOnlyList<TraceEvent> Events, string? TornTail);

/// <summary>Reads traces. Thread-safe.</summary>
public static class TraceReader
{
    /// <summary>The longest line that is read, in bytes.</summary>
    public const int MaximumLineLength = 1 << 20;

    private const int ReadSize = 64 << 10;

    /// <summary>Reads one line, with or without its line feed.</summary>
    /// <exception cref="TraceFormatException">The line is not what the trace contract allows.</exception>
    public static TraceEvent ParseLine(ReadOnlySpan<byte> line)
    {
        if (line.Length > MaximumLineLength)
            throw new TraceFormatException($"a line of {line.Length} bytes is longer than {MaximumLineLength}");
        return TraceLineParser.Parse(line);
    }

    /// <summary>Reads all files <c>*.jsonl</c> of a folder, in the order of their names.</summary>
    /// <exception cref="TraceFormatException">A file holds something that is not a trace.</exception>
    /// <exception cref="IOException">The folder or a file cannot be read.</exception>
    public static IReadOnlyList<TraceFileContents> ReadFolder(string folder) =>
        [.. Directory.EnumerateFiles(folder, "*.jsonl").Order(StringComparer.Ordinal).Select(ReadFile)];

    /// <summary>Reads one file, which holds the events of one node incarnation.</summary>
    /// <exception cref="TraceFormatException">The file holds something that is not a trace, or lines of several nodes.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static TraceFileContents ReadFile(string path)
    {
        using FileStream stream = new(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, bufferSize: 0);
        return Read(stream, path);
    }

    /// <summary>Reads one file's content from a stream.</summary>
    internal static TraceFileContents Read(Stream stream, string path)
    {
        var events = new List<TraceEvent>();
        var buffer = new byte[ReadSize];
        int filled = 0;
        while (true)
        {
            if (filled == buffer.Length)
            {
                if (buffer.Length > MaximumLineLength)
                    throw Error(path, events.Count, $"the line is longer than {MaximumLineLength} bytes");
                Array.Resize(ref buffer, buffer.Length * 2);
            }
            int read = stream.Read(buffer, filled, buffer.Length - filled);
            if (read == 0)
                return new TraceFileContents(path, events, ReadTail(buffer.AsSpan(0, filled), path, events));
            filled += read;
            int used = ReadLines(buffer.AsSpan(0, filled), path, events);
            buffer.AsSpan(used, filled - used).CopyTo(buffer);
            filled -= used;
        }
    }

    private static int ReadLines(ReadOnlySpan<byte> bytes, string path, List<TraceEvent> events)
    {
        int used = 0;
        for (int length; (length = bytes[used..].IndexOf((byte)'\n')) >= 0; used += length + 1)
        {
            try
            {
                Add(ParseLine(bytes.Slice(used, length)), events);
            }
            catch (TraceFormatException e)
            {
                throw Error(path, events.Count, e.Message);
            }
        }
        return used;
    }

    /// <summary>The end of a file without a line feed: a whole event if the cut fell there, else the torn tail.</summary>
    private static string? ReadTail(ReadOnlySpan<byte> tail, string path, List<TraceEvent> events)
    {
        if (tail.IsEmpty)
            return null;
        TraceEvent last;
        try
        {
            last = ParseLine(tail);
        }
        catch (TraceFormatException)
        {
            const int Shown = 80;
            return System.Text.Encoding.UTF8.GetString(tail[..Math.Min(tail.Length, Shown)]);
        }
        try
        {
            Add(last, events);
            return null;
        }
        catch (TraceFormatException e)
        {
            throw Error(path, events.Count, e.Message);
        }
    }

    private static void Add(TraceEvent line, List<TraceEvent> events)
    {
        if (events.Count > 0 && events[0].Node != line.Node)
            throw new TraceFormatException($"a line of {line.Node} in the file of {events[0].Node}");
        events.Add(line);
    }

    private static TraceFormatException Error(string path, int linesBefore, string message) =>
        new(string.Create(CultureInfo.InvariantCulture, $"{path}, line {linesBefore + 1}: {message}"));
}

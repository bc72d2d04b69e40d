// The trace of one node incarnation on disk: NAME.INCARNATION.jsonl (design: trace.md).
// Keeps: after Flush the lines are with the operating system; the file is always a prefix of the trace, of whole lines
// but for its last; a disk that fails never reaches the node. A failed write is tried again at every flush, from the
// same place in the file; when too much waits, the trace ends there: a trace with a hole would accuse the innocent.
using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Core.Groups.Tracing;

/// <summary>Writes the trace of one node incarnation. For one thread (the node's loop). Nothing here throws.</summary>
internal sealed class TraceFile : IDisposable
{
    /// <summary>How many bytes may wait while the disk fails; beyond that the trace ends.</summary>
    internal const int MaximumWaiting = 8 << 20;

    private readonly Action<string> onError;
    private readonly string path;
    private readonly ArrayBufferWriter<byte> waiting = new(4096);
    private readonly Utf8JsonWriter json;
    private ITraceSink? sink;
    private long length;
    private bool reported;

    /// <summary>A trace into a sink; <see cref="Open"/> is the usual way.</summary>
    internal TraceFile(ITraceSink? sink, string path, Action<string> onError)
    {
        this.sink = sink;
        this.path = path;
        this.onError = onError;
        json = TraceLineFormat.CreateWriter(waiting);
    }

    /// <summary>Whether lines are still written. Once false it stays false.</summary>
    internal bool IsOpen => sink is not null;

    /// <summary>
    /// Starts the trace of a node in a folder, which is made if it is not there. If that fails, it is reported and the
    /// trace takes its lines to nowhere.
    /// </summary>
    /// <param name="onError">Told in one English sentence that the disk fails (once), and that the trace has ended (once).</param>
    internal static TraceFile Open(string folder, NodeId node, Action<string> onError)
    {
        string path = Path.Combine(folder, FileNameOf(node));
        ITraceSink? sink = null;
        try
        {
            Directory.CreateDirectory(folder);
            sink = new FileTraceSink(path);
        }
        catch (Exception e) when (IsDiskError(e))
        {
            Tell(onError, $"No trace is written: {path} cannot be made: {e.Message}");
        }
        return new TraceFile(sink, path, onError);
    }

    /// <summary>The name of a node's trace file. Two nodes never share one: what a file system may not like is written as %XX.</summary>
    internal static string FileNameOf(NodeId node)
    {
        var name = new StringBuilder();
        foreach (byte b in Encoding.UTF8.GetBytes(node.Name))
        {
            if (char.IsAsciiLetterOrDigit((char)b) || b is (byte)'-' or (byte)'_' or (byte)'.')
                name.Append((char)b);
            else
                name.Append(CultureInfo.InvariantCulture, $"%{b:X2}");
        }
        return string.Create(CultureInfo.InvariantCulture, $"{name}.{node.Incarnation}.jsonl");
    }

    /// <summary>Takes a line. It is with the operating system after the next <see cref="Flush"/>.</summary>
    internal void Append(TraceEvent line)
    {
        if (sink is not null)
            TraceLineFormat.Write(line, waiting, json);
    }

    /// <summary>Hands the waiting lines to the operating system, in one write. Free when none wait.</summary>
    internal void Flush()
    {
        if (sink is null || waiting.WrittenCount == 0)
            return;
        try
        {
            sink.Write(waiting.WrittenSpan, length);
            length += waiting.WrittenCount;
            waiting.ResetWrittenCount();
        }
        catch (Exception e) when (IsDiskError(e))
        {
            Failed(e);
        }
    }

    /// <summary>Flushes and closes.</summary>
    public void Dispose()
    {
        Flush();
        Close();
        json.Dispose();
    }

    private void Failed(Exception e)
    {
        if (!reported)
            Tell(onError, $"The trace {path} cannot be written now and is tried again: {e.Message}");
        reported = true;
        if (waiting.WrittenCount > MaximumWaiting)
        {
            Tell(onError, $"The trace {path} ends here: the disk has failed for too long.");
            Close();
        }
    }

    private void Close()
    {
        if (sink is null)
            return;
        try
        {
            if (waiting.WrittenCount > 0)
                sink.Truncate(length); // what a failed write may have left; if it stays, readers know a torn tail
        }
        catch (Exception e) when (IsDiskError(e))
        {
            // Told already: lines wait only after a failed write.
        }
        try
        {
            sink.Dispose();
        }
        catch (Exception e) when (IsDiskError(e))
        {
            Tell(onError, $"The trace {path} was not closed well: {e.Message}");
        }
        sink = null;
        waiting.ResetWrittenCount();
    }

    private static bool IsDiskError(Exception e) =>
        e is IOException or UnauthorizedAccessException or NotSupportedException or ArgumentException or ObjectDisposedException
            or System.Security.SecurityException;

    private static void Tell(Action<string> onError, string message)
    {
        try
        {
            onError(message);
        }
        catch (Exception)
        {
            // A listener's failure is not the node's.
        }
    }
}

// A state of a size that the user chooses, to try state transfers by hand: small as one object, or large as a stream.
// Keeps: it takes no memory, for its bytes follow from their places; what comes is compared with what should come; lines about
// the progress of a stream are few, however large it is.
using Core.Groups;

namespace GroupShell;

/// <summary>So many bytes of state at this member. The group's callbacks run one at a time; the size is read by any thread.</summary>
/// <param name="bytes">The size with which the group's first member begins.</param>
/// <param name="isStreamed">Given and taken piece by piece; else as one object.</param>
internal sealed class SizedState(string group, long bytes, bool isStreamed, Answers answers)
{
    /// <summary>The most that is passed on as one object.</summary>
    public const int LargestObject = 64 << 20;

    private const int PieceSize = 64 << 10;
    private const long Pause = 200; // milliseconds

    private readonly Lock _gate = new();
    private readonly Dictionary<bool, long> _told = []; // by end, in the system's milliseconds
    private long _bytes;

    /// <summary>How much of it is here: nothing until the first view or the transfer.</summary>
    public long Bytes => Volatile.Read(ref _bytes);

    public StateTransfer Transfer => isStreamed
        ? StateTransfer.Stream(() => ValueTask.FromResult(new StateSnapshot(PiecesAsync(Bytes), Bytes)), TakeAsync, Initialize, Tell)
        : new StateTransfer { Save = GiveObject, Load = TakeObject, Initialize = Initialize };

    /// <summary>Extended mode: when components meet, the largest of their states counts.</summary>
    public ValueTask Reconcile(IReadOnlyList<GroupSide> sides)
    {
        long bytes = 0;
        foreach (GroupSide side in sides)
        {
            ReadOnlyMemory<byte> whole = side.State ?? default;
            Check(whole.Span, 0);
            bytes = Math.Max(bytes, whole.Length);
        }

        Volatile.Write(ref _bytes, bytes);
        Tell("merge", new StateProgress(group, IsDonor: false, bytes, bytes, IsComplete: true));
        return default;
    }

    /// <summary>What a join asks for; null: no state.</summary>
    public static SizedState? Of(CommandFields command, string group, Answers answers)
    {
        if (!command.Has("state"))
            return null;
        bool isStreamed = command.Has("streamed") && command.Flag("streamed");
        long bytes = command.Number("state", lowest: 0);
        if (!isStreamed && bytes > LargestObject)
            throw ShellException.BadField("state", $"may be {LargestObject} bytes as one object: give 'streamed' true for more");
        return new SizedState(group, bytes, isStreamed, answers);
    }

    /// <summary>The byte at each place: eight bytes are their number.</summary>
    public static void Fill(Span<byte> piece, long at)
    {
        for (int i = 0; i < piece.Length; i++)
            piece[i] = (byte)((at + i) >> 3 >> (int)((at + i & 7) << 3));
    }

    private ValueTask Initialize()
    {
        Volatile.Write(ref _bytes, bytes);
        return default;
    }

    private ValueTask<ReadOnlyMemory<byte>> GiveObject()
    {
        var whole = new byte[Bytes];
        Fill(whole, 0);
        Tell(new StateProgress(group, IsDonor: true, whole.Length, whole.Length, IsComplete: true));
        return ValueTask.FromResult<ReadOnlyMemory<byte>>(whole);
    }

    private ValueTask TakeObject(ReadOnlyMemory<byte> whole)
    {
        Check(whole.Span, 0);
        Volatile.Write(ref _bytes, whole.Length);
        Tell(new StateProgress(group, IsDonor: false, whole.Length, whole.Length, IsComplete: true));
        return default;
    }

    private static async IAsyncEnumerable<ReadOnlyMemory<byte>> PiecesAsync(long bytes)
    {
        for (long at = 0; at < bytes; at += PieceSize)
        {
            await Task.Yield(); // other work of the process comes between
            var piece = new byte[Math.Min(PieceSize, bytes - at)];
            Fill(piece, at);
            yield return piece;
        }
    }

    private async ValueTask TakeAsync(StateReader pieces)
    {
        long at = 0;
        await foreach (ReadOnlyMemory<byte> piece in pieces.ConfigureAwait(false))
        {
            Check(piece.Span, at);
            at += piece.Length;
        }

        Volatile.Write(ref _bytes, at);
    }

    private static void Check(ReadOnlySpan<byte> piece, long at)
    {
        var expected = new byte[piece.Length];
        Fill(expected, at);
        if (!piece.SequenceEqual(expected))
            throw new InvalidDataException($"The state is not what was given, between the bytes {at} and {at + piece.Length}.");
    }

    // Pieces of several transfers come in between each other: what bounds the lines is the time since the last one.
    private void Tell(StateProgress progress)
    {
        lock (_gate)
        {
            if (!progress.IsComplete && _told.TryGetValue(progress.IsDonor, out long last) && Environment.TickCount64 - last < Pause)
                return;
            _told[progress.IsDonor] = Environment.TickCount64;
        }

        Tell(progress.IsDonor ? "donor" : "joiner", progress);
    }

    private void Tell(string end, StateProgress progress)
    {
        answers.Event("progress", json =>
        {
            json.WriteString("group", progress.Group);
            json.WriteString("end", end);
            json.WriteNumber("bytes", progress.Bytes);
            if (progress.Length is { } length)
                json.WriteNumber("length", length);
            json.WriteBoolean("complete", progress.IsComplete);
        });
    }
}

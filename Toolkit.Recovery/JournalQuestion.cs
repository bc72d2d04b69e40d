// What members ask the journals of all, in bytes. What cannot be read is a FormatException.
using Core.Groups.Replication;
using Toolkit.Recovery.Logs;

namespace Toolkit.Recovery;

/// <summary>Questions, by their kinds.</summary>
internal static class JournalQuestion
{
    /// <summary>Whether everything before is on the disk.</summary>
    public const byte Barrier = (byte)'B';

    /// <summary>To keep the state under a number.</summary>
    public const byte Checkpoint = (byte)'C';

    /// <summary>Whether a checkpoint of several groups was taken, and is on the disk.</summary>
    public const byte Kept = (byte)'H';

    /// <summary>To mark a cut.</summary>
    public const byte Cut = (byte)'K';

    /// <summary>To go back to a checkpoint.</summary>
    public const byte Rollback = (byte)'R';

    public static byte KindOf(ReadOnlyMemory<byte> question) => question.IsEmpty ? (byte)0 : question.Span[0];

    /// <summary>A question without more.</summary>
    public static ReadOnlyMemory<byte> Ask(byte kind) => new[] { kind };

    /// <param name="number">The number; 0: the next one.</param>
    /// <param name="joint">Names the checkpoint if several groups take it together.</param>
    public static ReadOnlyMemory<byte> AskForCheckpoint(long number, ulong joint)
    {
        var writer = new BodyWriter(32);
        writer.Byte(Checkpoint);
        writer.Varint(number);
        writer.Int64((long)joint);
        return writer.ToArray();
    }

    public static (long Number, ulong Joint) ReadCheckpoint(ReadOnlyMemory<byte> question)
    {
        var reader = new BodyReader(question[1..]);
        return reader.AtEnd ? default : (reader.Varint(), (ulong)reader.Int64());
    }

    public static ReadOnlyMemory<byte> AskWhetherKept(ulong joint)
    {
        var writer = new BodyWriter(16);
        writer.Byte(Kept);
        writer.Int64((long)joint);
        return writer.ToArray();
    }

    public static ulong ReadKept(ReadOnlyMemory<byte> question) => (ulong)new BodyReader(question[1..]).Int64();

    /// <param name="number">The checkpoint.</param>
    /// <param name="cuts">By the names of the groups, the instants at which it was taken there.</param>
    public static ReadOnlyMemory<byte> AskToRollBack(long number, params IReadOnlyCollection<(string Group, CutPoint Cut)> cuts)
    {
        var writer = new BodyWriter();
        writer.Byte(Rollback);
        writer.Varint(number);
        writer.Varint(cuts.Count);
        foreach ((string group, CutPoint cut) in cuts)
        {
            writer.Text(group);
            writer.Text(cut.ViewId);
            writer.Varint(cut.Number);
        }

        return writer.ToArray();
    }

    /// <returns>The checkpoint, and the instant at which it was taken in this group.</returns>
    public static (long Number, CutPoint? Cut) ReadRollback(ReadOnlyMemory<byte> question, string group)
    {
        var reader = new BodyReader(question[1..]);
        long number = reader.Varint();
        for (int cuts = reader.Count(); cuts > 0; cuts--)
        {
            bool isMine = reader.Text() == group;
            var cut = new CutPoint(reader.Text(), reader.Varint());
            if (isMine) return (number, cut);
        }

        return (number, null);
    }
}

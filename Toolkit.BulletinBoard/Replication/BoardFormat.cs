// The bodies of messages and states of boards. A message begins with its kind and the sequence of its operation at its sender.
//   1 post      lifetime in ms, fields, guard           total board: safe; causal board: causal, with a guard safe
//   2 take      waits, holds, template, guard           safe, as all that follow but fire
//   3 take item holds, item                             (chosen by its taker: causal boards, and by predicates)
//   4 update    item, fields
//   5 clear     template, guard                         total boards, and with a guard
//   6 remove    items                                   causal boards: a clear without a guard
//   7 complete  hold's sequence, posts
//   8 release   hold's sequence
//   9 withdraw  the call that asks for it (the sequence is that of the operation)
//  10 fire      the guarded operation, items to remove   causal boards: causal, of a clear safe
//  11 expire    items
//  12 put back  item with its fields
using System.Collections.Immutable;
using System.Text;
using Core.Groups.Replication;

namespace Toolkit.BulletinBoard.Replication;

internal enum BoardMessage : byte
{
    Post = 1, Take = 2, TakeItem = 3, Update = 4, Clear = 5, Remove = 6, Complete = 7, Release = 8, Withdraw = 9, Fire = 10, Expire = 11, PutBack = 12,
}

internal static class BoardFormat
{
    public static BodyWriter Begin(BodyWriter body, BoardMessage kind, long sequence)
    {
        body.Reset().Byte((byte)kind);
        body.Varint(sequence);
        return body;
    }

    public static void WriteId(BodyWriter body, OperationId id)
    {
        body.Node(id.Node);
        body.Varint(id.Sequence);
    }

    public static OperationId ReadId(ref BodyReader reader) => new(reader.Node(), reader.Varint());

    public static void WriteIds(BodyWriter body, IReadOnlyCollection<OperationId> ids)
    {
        body.Varint(ids.Count);
        foreach (OperationId id in ids)
            WriteId(body, id);
    }

    public static OperationId[] ReadIds(ref BodyReader reader)
    {
        var ids = new OperationId[reader.Count()];
        for (int i = 0; i < ids.Length; i++)
            ids[i] = ReadId(ref reader);
        return ids;
    }

    public static void WriteField(BodyWriter body, Field field)
    {
        body.Byte((byte)field.Kind);
        switch (field.Kind)
        {
            case FieldKind.Text:
                body.Text(field.Text);
                break;
            case FieldKind.Whole:
                body.Int64(field.Whole);
                break;
            case FieldKind.Number:
                body.Int64(BitConverter.DoubleToInt64Bits(field.Number));
                break;
            case FieldKind.Flag:
                body.Flag(field.Flag);
                break;
            default:
                body.Blob(field.Bytes.Span);
                break;
        }
    }

    public static Field ReadField(ref BodyReader reader) => (FieldKind)reader.Byte() switch
    {
        FieldKind.Text => Encoding.UTF8.GetString(reader.Blob().Span),
        FieldKind.Whole => reader.Int64(),
        FieldKind.Number => BitConverter.Int64BitsToDouble(reader.Int64()),
        FieldKind.Flag => reader.Flag(),
        FieldKind.Bytes => reader.Blob().ToArray(),
        _ => throw new FormatException("A field has no known kind."),
    };

    public static void WriteFields(BodyWriter body, ReadOnlySpan<Field> fields)
    {
        body.Varint(fields.Length);
        foreach (Field field in fields)
            WriteField(body, field);
    }

    public static ImmutableArray<Field> ReadFields(ref BodyReader reader)
    {
        var fields = new Field[ReadLength(ref reader, BoardItem.MaximumFields)];
        for (int i = 0; i < fields.Length; i++)
            fields[i] = ReadField(ref reader);
        return ImmutableArray.Create(fields);
    }

    public static void WriteItem(BodyWriter body, BoardItem item)
    {
        WriteId(body, item.Id);
        body.Varint((long)item.Lifetime.TotalMilliseconds);
        WriteFields(body, item.Fields.AsSpan());
    }

    public static BoardItem ReadItem(ref BodyReader reader)
    {
        OperationId id = ReadId(ref reader);
        TimeSpan lifetime = ReadLifetime(ref reader);
        return new BoardItem(id, ReadFields(ref reader), lifetime);
    }

    public static TimeSpan ReadLifetime(ref BodyReader reader)
    {
        long milliseconds = reader.Varint();
        return milliseconds <= BoardReplica.LongestLifetime.TotalMilliseconds ? TimeSpan.FromMilliseconds(milliseconds) : throw new FormatException("A lifetime is too long.");
    }

    public static void WriteTemplate(BodyWriter body, Template template)
    {
        body.Varint(template.Length);
        foreach (Match match in template.Fields)
        {
            body.Byte((byte)match.Kind);
            if (match.Kind != MatchKind.Any)
                WriteField(body, match.Low);
            if (match.Kind == MatchKind.Range)
                WriteField(body, match.High);
        }
    }

    public static Template ReadTemplate(ref BodyReader reader)
    {
        var fields = new Match[ReadLength(ref reader, BoardItem.MaximumFields)];
        for (int i = 0; i < fields.Length; i++)
        {
            var kind = (MatchKind)reader.Byte();
            Field low = kind == MatchKind.Any ? default : ReadField(ref reader);
            try
            {
                fields[i] = kind switch
                {
                    MatchKind.Any => Match.Any,
                    MatchKind.Equal => low,
                    MatchKind.Prefix => Match.Prefix(low.Text),
                    MatchKind.Range => Match.Range(low, ReadField(ref reader)),
                    _ => throw new FormatException("A template has no known kind of match."),
                };
            }
            catch (ArgumentException e)
            {
                throw new FormatException(e.Message);
            }
        }

        return new Template(fields);
    }

    /// <summary>Nothing where there is none.</summary>
    public static void WriteGuard(BodyWriter body, Guard? guard)
    {
        body.Flag(guard is not null);
        if (guard is not null)
            WriteCondition(body, guard);
    }

    public static Guard? ReadGuard(ref BodyReader reader) => reader.Flag() ? ReadCondition(ref reader, Guard.MaximumDepth) : null;

    private static void WriteCondition(BodyWriter body, Guard guard)
    {
        body.Byte((byte)guard.Kind);
        switch (guard.Kind)
        {
            case GuardKind.Present:
                WriteTemplate(body, guard.Template!);
                body.Varint(guard.Count);
                break;
            case GuardKind.Finished:
                WriteId(body, guard.Operation);
                break;
            case GuardKind.Failed:
                body.Node(guard.Node);
                break;
            default:
                body.Varint(guard.Parts.Length);
                foreach (Guard part in guard.Parts)
                    WriteCondition(body, part);
                break;
        }
    }

    private static Guard ReadCondition(ref BodyReader reader, int depth)
    {
        if (depth == 0)
            throw new FormatException("A guard is too deep.");
        var kind = (GuardKind)reader.Byte();
        switch (kind)
        {
            case GuardKind.Present:
                Template template = ReadTemplate(ref reader);
                return Guard.Present(template, (int)Math.Clamp(reader.Varint(), 1, int.MaxValue));
            case GuardKind.Finished:
                return Guard.Finished(ReadId(ref reader));
            case GuardKind.Failed:
                return Guard.Failed(reader.Node());
            case GuardKind.All or GuardKind.Any:
                var parts = new Guard[ReadLength(ref reader, Guard.MaximumParts)];
                for (int i = 0; i < parts.Length; i++)
                    parts[i] = ReadCondition(ref reader, depth - 1);
                return kind == GuardKind.All ? Guard.All(parts) : Guard.Any(parts);
            default:
                throw new FormatException("A guard has no known kind.");
        }
    }

    private static int ReadLength(ref BodyReader reader, int most)
    {
        int length = reader.Count();
        return length > 0 && length <= most ? length : throw new FormatException($"There are {length} where 1 to {most} may be.");
    }
}

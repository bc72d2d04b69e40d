// One update of one object, as it travels. Follows: the format is
//   kind: 1 byte | object: 8 bytes | expected version + 1: varint (0: none) | then by kind
//   Set: key, value (blobs) | Remove: key | Add: delta (8 bytes) | Insert: index + 1 (0: at the end), value | Replace: index, value
//   RemoveAt: index | Enqueue: value | Dequeue: nothing
//   and, if there is an expected version of a causal object's value, what the sender saw: version: varint, whether it was there: flag.
using Core.Groups.Replication;

namespace Toolkit.ReplicatedData.Space;

/// <summary>What an operation does. The numbers are part of the format.</summary>
internal enum OperationKind : byte { Set = 1, Remove = 2, Add = 3, Insert = 4, Replace = 5, RemoveAt = 6, Enqueue = 7, Dequeue = 8 }

/// <summary>An operation that was read; its memory is that of the message.</summary>
internal readonly record struct Operation
{
    /// <summary>There is no expected version.</summary>
    public const long Any = -1;

    public required OperationKind Kind { get; init; }
    public required ulong Object { get; init; }
    public required long Expected { get; init; }
    public ReadOnlyMemory<byte> Key { get; init; }
    public ReadOnlyMemory<byte> Value { get; init; }

    /// <summary>A difference, or an index (-1: the end).</summary>
    public long Number { get; init; }

    public long SeenVersion { get; init; }
    public bool SeenPresent { get; init; }

    /// <exception cref="FormatException">No version wrote this.</exception>
    public static Operation Read(ref BodyReader reader)
    {
        var kind = (OperationKind)reader.Byte();
        ulong id = (ulong)reader.Int64();
        long expected = reader.Varint() - 1;
        ReadOnlyMemory<byte> key = default, value = default;
        long number = 0;
        switch (kind)
        {
            case OperationKind.Set: key = reader.Blob(); value = reader.Blob(); break;
            case OperationKind.Remove: key = reader.Blob(); break;
            case OperationKind.Add: number = reader.Int64(); break;
            case OperationKind.Insert: number = reader.Varint() - 1; value = reader.Blob(); break;
            case OperationKind.Replace: number = reader.Varint(); value = reader.Blob(); break;
            case OperationKind.RemoveAt: number = reader.Varint(); break;
            case OperationKind.Enqueue: value = reader.Blob(); break;
            case OperationKind.Dequeue: break;
            default: throw new FormatException("An operation of unknown kind.");
        }

        bool hasSeen = expected != Any && kind is OperationKind.Set or OperationKind.Remove;
        return new Operation
        {
            Kind = kind, Object = id, Expected = expected, Key = key, Value = value, Number = number,
            SeenVersion = hasSeen ? reader.Varint() : 0, SeenPresent = hasSeen && reader.Flag(),
        };
    }

    public void Write(BodyWriter writer)
    {
        writer.Byte((byte)Kind);
        writer.Int64((long)Object);
        writer.Varint(Expected + 1);
        switch (Kind)
        {
            case OperationKind.Set: writer.Blob(Key.Span); writer.Blob(Value.Span); break;
            case OperationKind.Remove: writer.Blob(Key.Span); break;
            case OperationKind.Add: writer.Int64(Number); break;
            case OperationKind.Insert: writer.Varint(Number + 1); writer.Blob(Value.Span); break;
            case OperationKind.Replace: writer.Varint(Number); writer.Blob(Value.Span); break;
            case OperationKind.RemoveAt: writer.Varint(Number); break;
            case OperationKind.Enqueue: writer.Blob(Value.Span); break;
        }

        if (Expected == Any || Kind is not (OperationKind.Set or OperationKind.Remove)) return;
        writer.Varint(SeenVersion);
        writer.Flag(SeenPresent);
    }

    /// <summary>Whether objects of a kind have this operation.</summary>
    public bool Fits(ObjectKind kind) => kind switch
    {
        ObjectKind.Variable => Kind is OperationKind.Set or OperationKind.Remove && Key.IsEmpty,
        ObjectKind.Dictionary or ObjectKind.Set => Kind is OperationKind.Set or OperationKind.Remove,
        ObjectKind.Counter => Kind == OperationKind.Add,
        ObjectKind.List => Kind is OperationKind.Insert or OperationKind.Replace or OperationKind.RemoveAt,
        ObjectKind.Queue => Kind is OperationKind.Enqueue or OperationKind.Dequeue,
        _ => false,
    };
}

// Large messages of which pieces are still to come. Pieces stand in order in their stream, and streams overtake each other:
// a message to one group may come between the pieces of one to several, from the same sender in the same class.
// Follows: protocol.md sections 2 (pieces) and 3 (streams).
using Core.Groups.Protocol.Ordering;

namespace Core.Groups.Protocol.Groups;

internal sealed class PieceTable
{
    private readonly Dictionary<(int Sender, int Class, Destination To), PieceAssembly> _open = [];

    /// <summary>The whole body; null while pieces are still to come.</summary>
    /// <param name="message">The next message of its stream.</param>
    /// <param name="limit">A sender beyond it cannot make this node keep more: the message will not fit together, at any member.</param>
    public ReadOnlyMemory<byte>? TryJoin(Message message, long limit)
    {
        var key = (message.Sender, message.Kind.Class(), message.Destination);
        if ((message.Flags & MessageFlags.MorePieces) == 0)
        {
            return _open.Remove(key, out PieceAssembly? whole) ? whole.Join(message.Body) : message.Body;
        }
        if (!_open.TryGetValue(key, out PieceAssembly? assembly))
        {
            // What was begun in an earlier epoch begins again.
            foreach (var old in _open.Keys.Where(k => k.Sender == key.Sender && k.Item2 == key.Item2 && IsSameTarget(k.To, key.Destination)).ToArray()) _open.Remove(old);
            _open.Add(key, assembly = new PieceAssembly());
        }
        if (assembly.Length + message.Body.Length <= limit) assembly.Add(message.Body);
        return null;
    }

    private static bool IsSameTarget(Destination a, Destination b) => (a.Spread, b.Spread) switch
    {
        (null, null) => a.Group == b.Group,
        ({ } one, { } other) => one.Label == other.Label && one.Parts.Select(p => p.Group).SequenceEqual(other.Parts.Select(p => p.Group)),
        _ => false,
    };
}

/// <summary>A large message of which pieces are still to come.</summary>
internal sealed class PieceAssembly
{
    private readonly List<ReadOnlyMemory<byte>> _pieces = [];

    public long Length { get; private set; }

    public void Add(ReadOnlyMemory<byte> piece)
    {
        _pieces.Add(piece);
        Length += piece.Length;
    }

    public byte[] Join(ReadOnlyMemory<byte> last)
    {
        var whole = new byte[Length + last.Length];
        int at = 0;
        foreach (ReadOnlyMemory<byte> piece in _pieces)
        {
            piece.CopyTo(whole.AsMemory(at));
            at += piece.Length;
        }
        last.CopyTo(whole.AsMemory(at));
        return whole;
    }
}

// What a node keeps of one client, and of one connection of a client.
// Keeps: what is gathered of a client that sends a large body in parts is bounded.
using Core.Groups.Protocol.Groups;
using Core.Groups.Wire;

namespace Core.Groups.Protocol.Clients;

/// <summary>Where a node stands with a client.</summary>
internal enum ClientStage : byte
{
    /// <summary>The node that served it before was asked to let it go. Next: Quieting.</summary>
    Asking,
    /// <summary>What it asked for before is still under way here, perhaps. Next: Serving, or another node's.</summary>
    Quieting,
    /// <summary>It is served, connected or not. Next: Quieting, Ending.</summary>
    Serving,
    /// <summary>It is over. Next: gone.</summary>
    Ending,
}

internal sealed class ClientSession(NodeId client)
{
    public NodeId Client => client;
    public ClientStage Stage { get; set; }
    /// <summary>0: none.</summary>
    public int Connection { get; set; }
    /// <summary>When its connection ended.</summary>
    public TimeSpan HeardAt { get; set; }
    /// <summary>The client knows that this node serves it.</summary>
    public bool IsHeard { get; set; }
    /// <summary>The node that would serve it.</summary>
    public NodeId? Taker { get; set; }
    /// <summary>What it said of itself when it came.</summary>
    public ClientAttach Source { get; set; }
    /// <summary>Its number of the last call of this connection.</summary>
    public long LastSequence { get; set; }
    /// <summary>The address that it asks about; null: none.</summary>
    public string? Finds { get; set; }
    /// <summary>The open calls, by the client's number.</summary>
    public SortedDictionary<long, (long Call, int Bytes)> Calls { get; } = [];
    public long Bytes { get; set; }
    /// <summary>The addresses that it has called, as far as is known here.</summary>
    public SortedSet<string> Addresses { get; } = new(StringComparer.Ordinal);
}

internal sealed class ClientConnection(int number, NodeId client)
{
    private PieceAssembly? _parts;

    public int Number => number;
    public NodeId Client => client;
    public TimeSpan HeardAt { get; set; }
    public ClientSession? Session { get; set; }

    public void AddPart(ReadOnlyMemory<byte> part, int limit)
    {
        _parts ??= new PieceAssembly();
        if (_parts.Length + part.Length > limit + ClientText.PartSize) throw new WireFormatException("a body is larger than any may be.");
        _parts.Add(part);
    }

    /// <summary>The whole body with its last part.</summary>
    public ReadOnlyMemory<byte> TakeBody(ReadOnlyMemory<byte> last, int limit)
    {
        if (_parts is not { } parts) return last;
        AddPart(default, limit);
        _parts = null;
        return parts.Join(last);
    }
}

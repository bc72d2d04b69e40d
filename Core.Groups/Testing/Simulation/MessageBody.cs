// The body of a message of the scripted application: a number that no other message has, and padding that shows damage.
using System.Buffers.Binary;
using System.Collections.Immutable;

namespace Core.Groups.Testing.Simulation;

/// <summary>What the application asked to be sent.</summary>
/// <param name="Marker">Unique in a run.</param>
/// <param name="Group">The group, or the first of several.</param>
internal sealed record SentMessage(ulong Marker, NodeId Sender, string Group, Order Order, int Size)
{
    /// <summary>Where it goes, if that is more than one group, or has a label.</summary>
    public SpreadNames? Spread { get; init; }

    /// <summary>Of a request that was passed on: the marker of the request that its caller made.</summary>
    public ulong Asked { get; init; }

    public bool GoesTo(string group) => Spread is null ? group == Group : Spread.Groups.Contains(group);
}

/// <summary>Several groups, single processes, a label.</summary>
internal sealed record SpreadNames(ImmutableArray<string> Groups, ImmutableArray<string> To, string? Label);

/// <summary>The layout of a body: marker (8 bytes), hops, whether an answer may be left out, padding.</summary>
internal static class MessageBody
{
    public const int MinimumSize = 10;

    public static byte[] Make(ulong marker, int hops, bool mayIgnore, int size)
    {
        byte[] body = new byte[Math.Max(size, MinimumSize)];
        BinaryPrimitives.WriteUInt64LittleEndian(body, marker);
        body[8] = (byte)hops;
        body[9] = mayIgnore ? (byte)1 : (byte)0;
        body.AsSpan(MinimumSize).Fill((byte)marker);
        return body;
    }

    public static bool TryRead(ReadOnlySpan<byte> body, out ulong marker, out int hops, out bool mayIgnore)
    {
        (marker, hops, mayIgnore) = (0, 0, false);
        if (body.Length < MinimumSize) return false;
        marker = BinaryPrimitives.ReadUInt64LittleEndian(body);
        (hops, mayIgnore) = (body[8], body[9] == 1);
        return !body[MinimumSize..].ContainsAnyExcept((byte)marker);
    }

    /// <summary>The answer of one member to one request.</summary>
    public static byte[] MakeReply(ulong marker, NodeId from)
    {
        byte[] body = new byte[16];
        BinaryPrimitives.WriteUInt64LittleEndian(body, marker);
        BinaryPrimitives.WriteInt64LittleEndian(body.AsSpan(8), from.Incarnation);
        return body;
    }
}

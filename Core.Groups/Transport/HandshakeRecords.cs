// The records of the handshake and their encoding: a header of magic, type and length, then a body of at most 4 KiB.
// Keeps: nothing is read past the bounds, whatever arrives; decoding returns false and throws nothing.
// Follows: protocol.md, sections 2 and 8. A Hello may grow at its end: what a later version appends is ignored, but proven (see HandshakeProof).
using System.Buffers.Binary;
using System.Text;
using System.Text.Unicode;
using Core.Groups.Protocol;

namespace Core.Groups.Transport;

/// <summary>The kinds of records of a handshake. The numbers are on the wire.</summary>
internal enum HandshakeRecord : byte
{
    /// <summary>Who speaks, see <see cref="Hello"/>; the first record of each side.</summary>
    Hello = 1,
    /// <summary>Proofs of the cluster key: one or two of 32 bytes.</summary>
    Proof = 2,
    /// <summary>The lower node has taken this connection as the pair's present one: a number of 8 bytes that only grows. Frames follow.</summary>
    Commit = 3,
    /// <summary>A <see cref="HandshakeError"/> byte and a reason to read. Nothing follows.</summary>
    Refusal = 4,
}

/// <summary>The header that every record of a handshake has.</summary>
internal static class HandshakeHeader
{
    /// <summary>Magic, type and length, in bytes.</summary>
    public const int Length = 7;
    /// <summary>The longest body, in bytes.</summary>
    public const int MaximumBody = 4096 - Length;
    /// <summary>The longest reason of a refusal, in bytes.</summary>
    private const int MaximumReason = 1000;

    /// <summary>As a little-endian length it is above every maximum frame, so a record is never taken for a frame.</summary>
    public static ReadOnlySpan<byte> Magic => "ISGR"u8;

    /// <summary>A whole record.</summary>
    public static byte[] Encode(HandshakeRecord type, ReadOnlySpan<byte> body)
    {
        var record = new byte[Length + body.Length];
        Magic.CopyTo(record);
        record[4] = (byte)type;
        BinaryPrimitives.WriteUInt16LittleEndian(record.AsSpan(5), (ushort)body.Length);
        body.CopyTo(record.AsSpan(Length));
        return record;
    }

    /// <summary>Reads a header; false if it is none.</summary>
    public static bool TryDecode(ReadOnlySpan<byte> header, out HandshakeRecord type, out int bodyLength)
    {
        type = (HandshakeRecord)header[4];
        bodyLength = BinaryPrimitives.ReadUInt16LittleEndian(header[5..]);
        return header[..4].SequenceEqual(Magic);
    }

    /// <summary>The record of a refusal.</summary>
    public static byte[] EncodeRefusal(HandshakeError error, string reason)
    {
        byte[] text = Encoding.UTF8.GetBytes(reason);
        return Encode(HandshakeRecord.Refusal, [(byte)error, .. text.AsSpan(0, Math.Min(text.Length, MaximumReason))]);
    }

    /// <summary>Reads a refusal. The reason comes from outside: its control characters are replaced, so that it cannot forge log lines.</summary>
    public static (HandshakeError Error, string Reason) DecodeRefusal(ReadOnlySpan<byte> body)
    {
        if (body.IsEmpty)
        {
            return (HandshakeError.Malformed, "no reason given");
        }
        string text = Encoding.UTF8.GetString(body.Slice(1, Math.Min(body.Length - 1, MaximumReason)));
        return ((HandshakeError)body[0], string.Concat(text.Select(c => char.IsControl(c) ? '?' : c)));
    }
}

/// <summary>What each side says of itself first. Nothing of it is believed before the proof.</summary>
internal sealed record Hello
{
    /// <summary>The length of a nonce, in bytes.</summary>
    public const int NonceLength = 16;

    private const byte ElectorFlag = 1, KeyedFlag = 2, ClientFlag = 4;

    /// <summary>The lowest version that the sender speaks.</summary>
    public required byte MinimumVersion { get; init; }
    /// <summary>The highest version that the sender speaks.</summary>
    public required byte MaximumVersion { get; init; }
    /// <summary>The sender's cluster.</summary>
    public required string Cluster { get; init; }
    /// <summary>The sender.</summary>
    public required PeerIdentity Peer { get; init; }
    /// <summary>Whether the sender has a cluster key.</summary>
    public required bool IsKeyed { get; init; }
    /// <summary>The settings that must be the same on both sides.</summary>
    public required ClusterSettings Settings { get; init; }
    /// <summary>Random, new for every handshake.</summary>
    public required ReadOnlyMemory<byte> Nonce { get; init; }

    /// <summary>The body of the record. The versions stand first, in every version.</summary>
    public byte[] Encode()
    {
        using var stream = new MemoryStream();
        using var writer = new BinaryWriter(stream);
        writer.Write(MinimumVersion);
        writer.Write(MaximumVersion);
        WriteString(writer, Cluster);
        WriteString(writer, Peer.Id.Name);
        writer.Write(Peer.Id.Incarnation);
        WriteString(writer, Peer.Address);
        WriteString(writer, Peer.Site);
        writer.Write(Peer.Weight);
        writer.Write((byte)((Peer.IsElector ? ElectorFlag : 0) | (IsKeyed ? KeyedFlag : 0) | (Peer.IsClient ? ClientFlag : 0)));
        Settings.Write(writer);
        writer.Write(Nonce.Span);
        return stream.ToArray();
    }

    /// <summary>Whether a body offers a version in the range; false also for one that is too short. Looks at nothing but the versions.</summary>
    public static bool OffersVersion(ReadOnlySpan<byte> body, byte minimum, byte maximum) =>
        body.Length >= 2 && body[0] <= body[1] && body[0] <= maximum && body[1] >= minimum;

    /// <summary>Reads a body; null if it breaks the rules.</summary>
    public static Hello? TryDecode(ReadOnlySpan<byte> body)
    {
        var reader = new HandshakeReader(body);
        byte minimum = reader.Byte(), maximum = reader.Byte();
        string cluster = reader.Name();
        var id = new NodeId(reader.Name(), reader.Int64());
        string address = reader.String(), site = reader.String();
        int weight = reader.Int32();
        byte flags = reader.Byte();
        ClusterSettings settings = ClusterSettings.Read(ref reader);
        byte[] nonce = reader.Bytes(NonceLength);
        bool isSound = !reader.Failed && weight >= 0 && (site.Length == 0 || TcpTransportOptions.IsName(site)) && HostPort.TryParse(address, out HostPort parsed) && parsed.Port != 0;
        return !isSound ? null : new Hello
        {
            MinimumVersion = minimum,
            MaximumVersion = maximum,
            Cluster = cluster,
            Peer = new PeerIdentity(id, address, site, weight, (flags & ElectorFlag) != 0) { IsClient = (flags & ClientFlag) != 0 },
            IsKeyed = (flags & KeyedFlag) != 0,
            Settings = settings,
            Nonce = nonce,
        };
    }

    private static void WriteString(BinaryWriter writer, string text)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        writer.Write((ushort)bytes.Length);
        writer.Write(bytes);
    }
}

/// <summary>A bounded reader: past the end, or on a bad string, it fails for good and gives empty values.</summary>
internal ref struct HandshakeReader(ReadOnlySpan<byte> body)
{
    private const int MaximumString = 300;
    private ReadOnlySpan<byte> _rest = body;

    /// <summary>Whether something was not there, or not sound.</summary>
    public bool Failed { get; private set; }

    public byte Byte() => Take(1) is [byte value] ? value : (byte)0;

    public int Int32() => Take(4) is { Length: 4 } bytes ? BinaryPrimitives.ReadInt32LittleEndian(bytes) : 0;

    public long Int64() => Take(8) is { Length: 8 } bytes ? BinaryPrimitives.ReadInt64LittleEndian(bytes) : 0;

    public byte[] Bytes(int length) => Take(length).ToArray();

    /// <summary>A string that may be empty.</summary>
    public string String()
    {
        ReadOnlySpan<byte> prefix = Take(2);
        int length = prefix.Length == 2 ? BinaryPrimitives.ReadUInt16LittleEndian(prefix) : 0;
        ReadOnlySpan<byte> bytes = length <= MaximumString ? Take(length) : Fail();
        return Utf8.IsValid(bytes) ? Encoding.UTF8.GetString(bytes) : FailText();
    }

    /// <summary>A string that may name a cluster or a node.</summary>
    public string Name()
    {
        string text = String();
        return TcpTransportOptions.IsName(text) ? text : FailText();
    }

    private ReadOnlySpan<byte> Take(int length)
    {
        if (Failed || _rest.Length < length)
        {
            return Fail();
        }
        ReadOnlySpan<byte> taken = _rest[..length];
        _rest = _rest[length..];
        return taken;
    }

    private ReadOnlySpan<byte> Fail()
    {
        Failed = true;
        return default;
    }

    private string FailText()
    {
        Failed = true;
        return "";
    }
}

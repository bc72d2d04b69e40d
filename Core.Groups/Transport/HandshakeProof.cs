// The proof that a node knows the cluster key.
// Keeps: a proof is good for one handshake, one direction and one pair: HMAC-SHA256 over the direction and both whole Hellos (nonces,
//   identities, versions, settings), so nothing of them can be replayed, reflected or changed on the way.
// Follows: protocol.md, section 8. Deviation: without a key the empty key is used, so that replays fail there too; it proves nothing else.
using System.Collections.Immutable;
using System.Security.Cryptography;

namespace Core.Groups.Transport;

/// <summary>Makes and judges proofs with the one or two keys that are valid now.</summary>
internal sealed class HandshakeProof(ImmutableArray<ReadOnlyMemory<byte>> keys)
{
    private const int ProofLength = HMACSHA256.HashSizeInBytes;
    private readonly ImmutableArray<ReadOnlyMemory<byte>> _keys = keys.IsDefaultOrEmpty ? [ReadOnlyMemory<byte>.Empty] : keys;

    /// <summary>One proof for each key: a peer that knows any of them finds it, at every step of a rotation.</summary>
    /// <param name="byDialer">Whether the prover is the one who dialled.</param>
    public byte[] Make(bool byDialer, ReadOnlySpan<byte> dialerHello, ReadOnlySpan<byte> acceptorHello)
    {
        var proofs = new byte[_keys.Length * ProofLength];
        for (int i = 0; i < _keys.Length; i++)
        {
            Compute(_keys[i].Span, byDialer, dialerHello, acceptorHello, proofs.AsSpan(i * ProofLength, ProofLength));
        }
        return proofs;
    }

    /// <summary>Whether any of the peer's proofs was made with one of the keys, in constant time for each.</summary>
    public bool Verify(ReadOnlySpan<byte> proofs, bool byDialer, ReadOnlySpan<byte> dialerHello, ReadOnlySpan<byte> acceptorHello)
    {
        if (proofs.Length is not (ProofLength or 2 * ProofLength))
        {
            return false;
        }
        Span<byte> expected = stackalloc byte[ProofLength];
        bool isKnown = false;
        foreach (ReadOnlyMemory<byte> key in _keys)
        {
            Compute(key.Span, byDialer, dialerHello, acceptorHello, expected);
            for (int at = 0; at < proofs.Length; at += ProofLength)
            {
                isKnown |= CryptographicOperations.FixedTimeEquals(proofs.Slice(at, ProofLength), expected);
            }
        }
        return isKnown;
    }

    // Each Hello goes in with its length (its record's header has it), so no two pairs of Hellos give the same bytes.
    private static void Compute(ReadOnlySpan<byte> key, bool byDialer, ReadOnlySpan<byte> dialerHello, ReadOnlySpan<byte> acceptorHello, Span<byte> proof)
    {
        using var hmac = IncrementalHash.CreateHMAC(HashAlgorithmName.SHA256, key);
        hmac.AppendData(byDialer ? "core-groups dialer"u8 : "core-groups acceptor"u8);
        hmac.AppendData(HandshakeHeader.Encode(HandshakeRecord.Hello, dialerHello));
        hmac.AppendData(HandshakeHeader.Encode(HandshakeRecord.Hello, acceptorHello));
        hmac.GetHashAndReset(proof);
    }
}

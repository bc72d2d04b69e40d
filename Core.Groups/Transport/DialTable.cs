// The dials under way, and the addresses at which this node has found itself.
// Keeps: one dial per address at a time; a node never dials itself twice under the same address.
using System.Security.Cryptography;

namespace Core.Groups.Transport;

/// <summary>Thread-safe.</summary>
internal sealed class DialTable
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, byte[]> _nonces = [];
    private readonly HashSet<string> _self = [];

    /// <summary>A dial begins; false if one is under way, or the address is this node's own.</summary>
    /// <param name="nonce">The nonce of its handshake: by it this node recognises itself, whatever others claim.</param>
    public bool TryBegin(string address, out byte[] nonce)
    {
        nonce = RandomNumberGenerator.GetBytes(Hello.NonceLength);
        lock (_gate)
        {
            return !_self.Contains(address) && _nonces.TryAdd(address, nonce);
        }
    }

    /// <summary>A dial is over: the address may be dialled again. Does nothing the second time, and nothing to a later dial.</summary>
    public void End(string address, byte[] nonce)
    {
        lock (_gate)
        {
            if (_nonces.TryGetValue(address, out byte[]? present) && present == nonce)
            {
                _nonces.Remove(address);
            }
        }
    }

    /// <summary>Whether a nonce that came in belongs to one of this node's own dials. Remembers that dial's address as this node's.</summary>
    public bool Recognise(ReadOnlyMemory<byte> nonce)
    {
        lock (_gate)
        {
            foreach ((string address, byte[] own) in _nonces)
            {
                if (nonce.Span.SequenceEqual(own))
                {
                    return _self.Add(address);
                }
            }
            return false;
        }
    }

    /// <summary>Whether this node has found itself at the address.</summary>
    public bool IsSelf(string address)
    {
        lock (_gate)
        {
            return _self.Contains(address);
        }
    }
}

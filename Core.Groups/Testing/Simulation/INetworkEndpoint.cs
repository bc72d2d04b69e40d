using Core.Groups.Protocol;

namespace Core.Groups.Testing.Simulation;

/// <summary>One incarnation of a node as the simulated network sees it.</summary>
internal interface INetworkEndpoint
{
    /// <summary>What a handshake with this endpoint proves.</summary>
    PeerIdentity Identity { get; }

    /// <summary>Whether it answers a handshake now; a frozen process does not.</summary>
    bool Answers { get; }

    void Connected(int connection, PeerIdentity peer);
    void Disconnected(int connection);
    void DialFailed(string address, bool refused);
    void Received(int connection, ReadOnlyMemory<byte> frame);
}

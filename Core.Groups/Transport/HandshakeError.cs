// Why a handshake ended without a connection. The numbers are on the wire: never change one.

namespace Core.Groups.Transport;

/// <summary>Why two nodes did not connect.</summary>
internal enum HandshakeError : byte
{
    /// <summary>What arrived does not begin like this protocol.</summary>
    NotThisProtocol = 1,
    /// <summary>It begins like this protocol and breaks its rules.</summary>
    Malformed = 2,
    /// <summary>No version of the protocol is common to both.</summary>
    VersionMismatch = 3,
    /// <summary>The peer belongs to another cluster.</summary>
    WrongCluster = 4,
    /// <summary>The proof of the cluster key is wrong: another key, a key on one side only, or a replayed handshake.</summary>
    WrongKey = 5,
    /// <summary>A setting that must be the same everywhere differs (seeds, minimum primary weight, mode, maximum frame).</summary>
    SettingsMismatch = 6,
    /// <summary>The other node lives and has this node's name.</summary>
    NameTaken = 7,
    /// <summary>The pair has a connection that is newer than this attempt.</summary>
    Duplicate = 8,
    /// <summary>A node reached itself.</summary>
    Self = 9,
    /// <summary>The handshake took too long.</summary>
    TimedOut = 10,
}

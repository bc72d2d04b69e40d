// A group whose members make the same requests: one caller to those that it asks, as a client is that comes through several nodes at
// once. Each member asks for itself, so whoever fails takes nobody's answer with it.
// Follows: "isis toolkit", redundant computation.
namespace Core.Groups.Protocol.Requests;

internal static class GroupCallers
{
    /// <summary>How many requests behind the first of its members one may be and still get the answers.</summary>
    public const long Kept = 256;

    /// <summary>Under this id the group is seen: its name (no node's begins so), and what tells it from others that had the name.</summary>
    public static NodeId IdOf(GroupId id, string name) => new(name, (long)((id.High ^ id.Low) >> 1));
}

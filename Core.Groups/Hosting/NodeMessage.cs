namespace Core.Groups;

/// <summary>A message to this node as a single process, beside the groups that it went to.</summary>
public readonly struct NodeMessage
{
    /// <summary>Who sent it.</summary>
    public NodeId From { get; internal init; }

    /// <summary>The primitive by which it was sent.</summary>
    public Order Order { get; internal init; }

    /// <summary>The body (of a typed message: its serialized form). Never reused: it may be kept.</summary>
    public ReadOnlyMemory<byte> Body { get; internal init; }

    /// <summary>The id of the message.</summary>
    public MessageId Id { get; internal init; }
}

namespace Core.Groups;

/// <summary>A message as its handler sees it.</summary>
public readonly struct GroupMessage
{
    /// <summary>Who sent it (for a caller that is not a member: that caller).</summary>
    public NodeId From { get; internal init; }

    /// <summary>The primitive by which it was sent.</summary>
    public Order Order { get; internal init; }

    /// <summary>The body (of a typed message: its serialized form). Never reused: it may be kept.</summary>
    public ReadOnlyMemory<byte> Body { get; internal init; }

    /// <summary>The id of the message.</summary>
    public MessageId Id { get; internal init; }

    /// <summary>
    /// In extended mode: it is delivered in a transitional configuration, to the members that go on together and not to all to whom
    /// it was sent. A safe message is then known to them alone (EVS specification 7).
    /// </summary>
    public bool IsTransitional { get; internal init; }

    /// <summary>The group.</summary>
    public ProcessGroup Group { get; internal init; }

    /// <summary>The view in which it is delivered.</summary>
    public View View { get; internal init; }
}

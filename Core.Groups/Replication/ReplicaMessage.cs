namespace Core.Groups.Replication;

/// <summary>A delivery to a replica.</summary>
public readonly ref struct ReplicaMessage
{
    /// <summary>Who multicast it; of a request, the caller.</summary>
    public required NodeId From { get; init; }

    /// <summary>The primitive.</summary>
    public required Order Order { get; init; }

    /// <summary>The content. Not reused: it may be kept.</summary>
    public required ReadOnlyMemory<byte> Body { get; init; }
}

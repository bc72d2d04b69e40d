using Core.Groups;

namespace Toolkit.ReplicatedData;

/// <summary>How an object is opened. The same at all nodes.</summary>
public sealed class ReplicatedDataOptions
{
    /// <summary>How the object may be updated. Lists and queues have <see cref="UpdateMode.Total"/> only.</summary>
    public UpdateMode Mode { get; set; }

    /// <summary>Writes keys and values. Null: numbers of 64 bits (<see cref="long"/>), strings and byte arrays as they are, everything else as JSON.</summary>
    public IPayloadSerializer? Serializer { get; set; }
}

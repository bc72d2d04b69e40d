namespace Toolkit.ReplicatedData.Caching;

/// <summary>How a node takes part in a replicated cache. Name and clock should be the same at all nodes.</summary>
public sealed class ReplicatedCacheOptions
{
    /// <summary>The cache's path: nodes that name the same one share their entries.</summary>
    public string Name { get; set; } = "/cache";

    /// <summary>The sliding expiration of entries that are set without any expiration; null: they stay until they are removed.</summary>
    public TimeSpan? DefaultSlidingExpiration { get; set; } = TimeSpan.FromMinutes(20);

    /// <summary>
    /// How often the oldest node removes what has expired. An expired entry is not found from its time on; until it is removed it takes memory.
    /// From a millisecond to a day.
    /// </summary>
    public TimeSpan SweepInterval { get; set; } = TimeSpan.FromMinutes(1);

    /// <summary>
    /// How long setting or removing may take, for instance while the node is cut off from the primary; then there is a
    /// <see cref="TimeoutException"/>. Infinite is allowed.
    /// </summary>
    public TimeSpan UpdateTimeout { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>The clock by which entries expire.</summary>
    public TimeProvider TimeProvider { get; set; } = TimeProvider.System;

    /// <exception cref="ArgumentException">An option is wrong: the message names it.</exception>
    internal void Validate()
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(Name);
        ArgumentNullException.ThrowIfNull(TimeProvider);
        Check(nameof(DefaultSlidingExpiration), DefaultSlidingExpiration is null || DefaultSlidingExpiration > TimeSpan.Zero, "must be positive, or null");
        Check(nameof(SweepInterval), SweepInterval >= TimeSpan.FromMilliseconds(1) && SweepInterval <= TimeSpan.FromDays(1), "must be from a millisecond to a day");
        Check(
            nameof(UpdateTimeout), UpdateTimeout == Timeout.InfiniteTimeSpan || (UpdateTimeout > TimeSpan.Zero && UpdateTimeout <= TimeSpan.FromDays(1)),
            "must be positive and at most a day, or infinite");
    }

    private static void Check(string option, bool isRight, string rule)
    {
        if (!isRight) throw new ArgumentException($"{nameof(ReplicatedCacheOptions)}.{option} {rule}.");
    }
}

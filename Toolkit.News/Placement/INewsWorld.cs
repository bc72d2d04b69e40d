using Toolkit.News.Replication;

namespace Toolkit.News.Placement;

/// <summary>The replicas of one node, as the router reaches them.</summary>
internal interface INewsWorld
{
    /// <summary>Monotonic time, for the pace of moves.</summary>
    TimeSpan Now { get; }

    /// <summary>The channels that this node has part in, or is on its way into.</summary>
    IEnumerable<int> Open { get; }

    /// <summary>Runs a call of the directory between its deliveries. False: this node is no member now.</summary>
    bool TryDirectory(Action<NewsDirectory> call);

    /// <summary>Runs a call of a channel between its deliveries. False: this node is no member now.</summary>
    bool TryChannel(int channel, Action<NewsReplica> call);

    /// <summary>This node is to have part in a channel.</summary>
    void Hold(int channel);

    /// <summary>It need not any more.</summary>
    void Let(int channel);
}

/// <summary>Looks at the world.</summary>
internal static class NewsWorlds
{
    /// <summary>Whether a channel is as is asked for. False: this node is no member now.</summary>
    public static bool Any(this INewsWorld world, int channel, Func<NewsReplica, bool> isSo)
    {
        bool found = false;
        return world.TryChannel(channel, r => found = isSo(r)) && found;
    }
}

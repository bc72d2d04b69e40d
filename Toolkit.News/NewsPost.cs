using Core.Groups;

namespace Toolkit.News;

/// <summary>In which order the subscribers of a topic get a post.</summary>
public enum NewsOrder : byte
{
    /// <summary>In one order at all, when all members of the channel have it: it is not lost and its number stands, whoever fails. The default.</summary>
    Total = 0,

    /// <summary>After all that its poster had seen.</summary>
    Causal = 1,

    /// <summary>After the earlier posts of its poster.</summary>
    Fifo = 2,
}

/// <summary>A post as a subscriber gets it.</summary>
/// <param name="Topic">The topic.</param>
/// <param name="From">Who posted it.</param>
/// <param name="Order">In which order it came.</param>
/// <param name="Number">Total: its place among the topic's totally ordered posts, from 1, the same at all subscribers. Else a number that grows with each post of its poster.</param>
/// <param name="Time">When it was posted, by the poster's clock.</param>
/// <param name="Body">The content. May be kept.</param>
public sealed record NewsPost(string Topic, NodeId From, NewsOrder Order, long Number, DateTimeOffset Time, ReadOnlyMemory<byte> Body);

/// <summary>How a node takes part in the news.</summary>
public sealed class NewsOptions
{
    /// <summary>
    /// Where the news are: the groups that carry them have names below this path. News with different paths have nothing to do with each other, so
    /// some can be logged and others not. Must be the same at all nodes.
    /// </summary>
    public string Path { get; init; } = "/news";

    /// <summary>How many groups carry all topics. Must be the same at all nodes: those with another number have other news.</summary>
    public int Channels { get; init; } = 8;

    /// <summary>How many posts of a topic are kept as back issues. Must be the same at all nodes.</summary>
    public int BackIssues { get; init; } = 100;

    /// <summary>How many posts of a channel are kept in all; the oldest go first. Must be the same at all nodes.</summary>
    public int BackIssuesOfChannel { get; init; } = 100_000;

    /// <summary>
    /// A node that has not posted to a channel, looked back or had a subscription there for so long (twice as long at most) leaves it, so that it gets
    /// nothing that it does not want, if there are <see cref="Copies"/> without it. A millisecond to a day, or infinite: never.
    /// </summary>
    public TimeSpan LeaveAfter { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>
    /// When what the nodes want has been as it is for so long, first words move to the channels of others that the same nodes want, so that less comes
    /// that nobody at a node wants. Infinite (the default): each word stays where its hash says. Must be the same at all nodes, and infinite for
    /// news that are logged.
    /// </summary>
    public TimeSpan RebalanceAfter { get; init; } = Timeout.InfiniteTimeSpan;

    /// <summary>So many members of a channel stay at least, whatever they want, and keep its back issues. Must be the same at all nodes.</summary>
    public int Copies { get; init; } = 2;

    internal string GroupOf(int channel) => $"{Path}/{Channels}.{channel}#news";

    internal string DirectoryGroup => $"{Path}/{Channels}#directory";

    /// <exception cref="ArgumentException">An option is out of range.</exception>
    internal void Validate()
    {
        GroupName.Validate(Path);
        ArgumentOutOfRangeException.ThrowIfLessThan(Channels, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(Channels, 1000);
        ArgumentOutOfRangeException.ThrowIfLessThan(BackIssues, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(BackIssuesOfChannel, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(Copies, 1);
        Check(LeaveAfter, nameof(LeaveAfter));
        Check(RebalanceAfter, nameof(RebalanceAfter));
    }

    private static void Check(TimeSpan time, string name)
    {
        if (time == Timeout.InfiniteTimeSpan)
            return;
        ArgumentOutOfRangeException.ThrowIfLessThan(time, TimeSpan.FromMilliseconds(1), name);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(time, TimeSpan.FromDays(1), name);
    }
}

/// <summary>How to subscribe.</summary>
public sealed class SubscribeOptions
{
    /// <summary>So many back issues of each topic come first, the oldest first.</summary>
    public int BackIssues { get; init; }

    /// <summary>Only back issues of this time or later, by their posters' clocks; null: all.</summary>
    public DateTimeOffset? Since { get; init; }

    /// <summary>
    /// How many posts wait for the handler at most. When there are more the oldest are dropped and counted: a slow subscriber holds
    /// nobody up, and loses posts of its own.
    /// </summary>
    public int MaximumWaiting { get; init; } = 10_000;
}

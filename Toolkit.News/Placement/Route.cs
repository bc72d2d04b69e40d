using System.Collections.Immutable;
using Core.Groups;
using Toolkit.News.Replication;

namespace Toolkit.News.Placement;

/// <summary>A subscription on its way to the channels that have what it wants.</summary>
/// <param name="sink">Who gets the posts.</param>
/// <param name="word">The first word of all that it wants; null: of any.</param>
/// <param name="back">So many back issues come first.</param>
/// <param name="since">None of them older.</param>
/// <param name="begun">Called once, when nothing that is posted later is missed.</param>
internal sealed class Route(INewsSink sink, string? word, int back, DateTimeOffset since, Action begun)
{
    public INewsSink Sink => sink;

    public string? Word => word;

    /// <summary>The channels in which the sink is; none: it has not begun.</summary>
    public SortedSet<int> Channels { get; } = [];

    public void Begin(NewsReplica replica) => replica.Subscribe(sink, back, since);

    public void Begun() => begun();
}

/// <summary>What a directory holds that there is not.</summary>
internal static class Nothing
{
    public static ImmutableSortedDictionary<string, int> Places { get; } = ImmutableSortedDictionary.Create<string, int>(StringComparer.Ordinal);

    public static ImmutableSortedDictionary<NodeId, WantedWords> Wants { get; } = ImmutableSortedDictionary<NodeId, WantedWords>.Empty;
}

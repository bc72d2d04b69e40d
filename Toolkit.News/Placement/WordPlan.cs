// Which word should move where, so that nodes get less of what they do not want. A function of what the directory knows.
// Words with the same audience belong together; a channel's members are the audiences of its words, and each of them gets all of it.
using System.Collections.Immutable;
using Core.Groups;

namespace Toolkit.News.Placement;

/// <summary>Plans moves.</summary>
internal static class WordPlan
{
    /// <summary>The next move; null: nothing that is worth it.</summary>
    public static (string Word, int To)? Next(DirectoryLook directory)
    {
        int channels = directory.Channels;
        SortedSet<string> words = new(directory.Wants.Values.SelectMany(w => w.Words), StringComparer.Ordinal);
        (string Word, ImmutableSortedSet<NodeId> Audience, int Place)[] wanted =
            [.. words.Select(w => (w, directory.Wants.Where(n => n.Value.Contains(w)).Select(n => n.Key).ToImmutableSortedSet(), directory.PlaceOf(w)))];
        Cluster[] clusters = ClustersOf(wanted.Select(w => (w.Word, w.Audience)), channels);
        var clusterOf = new Dictionary<string, Cluster>();
        foreach (Cluster cluster in clusters)
        {
            foreach (string word in cluster.Words)
                clusterOf.Add(word, cluster);
        }

        long now = wanted.GroupBy(w => w.Place).Sum(c => Unwanted([.. c.Select(w => w.Audience)]));
        if (clusters.Sum(c => c.Unwanted) * 10 > now * 9 || now == 0)
            return null;
        GiveChannels(clusters, [.. wanted.Select(w => (clusterOf[w.Word], w.Place))], channels);
        int[] load = new int[channels];
        foreach (var word in wanted)
            load[word.Place]++;
        foreach ((string word, _, int place) in wanted)
        {
            Cluster cluster = clusterOf[word];
            if (!cluster.Channels.Contains(place))
                return (word, cluster.Channels.MinBy(c => (load[c], c)));
        }

        return null;
    }

    private static long Unwanted(ImmutableSortedSet<NodeId>[] audiences) =>
        ((long)audiences.Length * audiences.SelectMany(a => a).Distinct().Count()) - audiences.Sum(a => (long)a.Count);

    // The largest audiences first; what there is no channel left for joins those with whom it costs least.
    private static Cluster[] ClustersOf(IEnumerable<(string Word, ImmutableSortedSet<NodeId> Audience)> words, int most)
    {
        var clusters = new List<Cluster>();
        foreach (var same in words.GroupBy(w => string.Join(' ', w.Audience)).OrderByDescending(g => g.Count()).ThenBy(g => g.Key, StringComparer.Ordinal))
        {
            ImmutableSortedSet<NodeId> audience = same.First().Audience;
            Cluster? cluster = clusters.Count < most ? null : clusters.MinBy(c => c.UnwantedWith(audience, same.Count()) - c.Unwanted);
            if (cluster is null)
                clusters.Add(cluster = new Cluster());
            cluster.Add(audience, same.Select(w => w.Word));
        }

        return [.. clusters];
    }

    // A channel belongs to those who have most words in it now, so that little has to move; everybody gets one.
    private static void GiveChannels(Cluster[] clusters, IReadOnlyList<(Cluster Cluster, int Place)> words, int channels)
    {
        var counts = words.GroupBy(w => w).ToDictionary(g => g.Key, g => g.Count());
        int CountOf(Cluster cluster, int channel) => counts.GetValueOrDefault((cluster, channel));
        for (int channel = 0; channel < channels; channel++)
        {
            if (clusters.MaxBy(c => CountOf(c, channel)) is { } most && CountOf(most, channel) > 0)
                most.Channels.Add(channel);
        }

        foreach (Cluster cluster in clusters.Where(c => c.Channels.Count == 0))
        {
            int free = Enumerable.Range(0, channels).Where(c => clusters.All(o => !o.Channels.Contains(c) || o.Channels.Count > 1))
                .MinBy(c => (clusters.Sum(o => o.Channels.Contains(c) ? CountOf(o, c) : 0), -CountOf(cluster, c), c));
            foreach (Cluster other in clusters)
                other.Channels.Remove(free);
            cluster.Channels.Add(free);
        }
    }

    private sealed class Cluster
    {
        private readonly HashSet<NodeId> _members = [];
        private long _wanted;

        public List<string> Words { get; } = [];

        public SortedSet<int> Channels { get; } = [];

        /// <summary>How much comes that is not wanted, if each word has one post.</summary>
        public long Unwanted => ((long)Words.Count * _members.Count) - _wanted;

        public long UnwantedWith(ImmutableSortedSet<NodeId> audience, int words) =>
            ((Words.Count + words) * (long)(_members.Count + audience.Count(n => !_members.Contains(n)))) - _wanted - ((long)words * audience.Count);

        public void Add(ImmutableSortedSet<NodeId> audience, IEnumerable<string> words)
        {
            int before = Words.Count;
            Words.AddRange(words);
            _wanted += (long)(Words.Count - before) * audience.Count;
            _members.UnionWith(audience);
        }
    }
}

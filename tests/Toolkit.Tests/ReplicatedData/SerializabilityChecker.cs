// Judges whether committed transactions could have run one after the other: the graph of who must come before whom has no circle.
// Follows: Bernstein, Hadzilacos and Goodman (conflict serializability); versions as in Adya's direct serialization graph.
namespace Toolkit.Tests.ReplicatedData;

/// <summary>A transaction that was committed, with the versions that it read and the version that it made.</summary>
internal sealed record CommittedTransaction(string Name, IReadOnlyDictionary<string, long> Reads, IReadOnlyCollection<string> Writes, long Version);

internal static class SerializabilityChecker
{
    /// <summary>Null if some order explains what was read; else a circle.</summary>
    public static string? Check(IReadOnlyList<CommittedTransaction> transactions)
    {
        var after = transactions.ToDictionary(t => t, _ => new HashSet<CommittedTransaction>());
        foreach (string key in transactions.SelectMany(t => t.Writes.Concat(t.Reads.Keys)).Distinct())
        {
            List<CommittedTransaction> writers = [.. transactions.Where(t => t.Writes.Contains(key)).OrderBy(t => t.Version)];
            for (int i = 1; i < writers.Count; i++) after[writers[i - 1]].Add(writers[i]);
            foreach (CommittedTransaction reader in transactions.Where(t => t.Reads.ContainsKey(key)))
            {
                long read = reader.Reads[key];
                if (writers.Find(w => w.Version == read && w != reader) is { } writer) after[writer].Add(reader);
                if (writers.Find(w => w.Version > read && w != reader) is { } next) after[reader].Add(next);
            }
        }

        var done = new HashSet<CommittedTransaction>();
        var path = new List<CommittedTransaction>();
        return transactions.Select(t => FindCircle(t, after, done, path)).FirstOrDefault(c => c is not null);
    }

    private static string? FindCircle(
        CommittedTransaction at, Dictionary<CommittedTransaction, HashSet<CommittedTransaction>> after, HashSet<CommittedTransaction> done, List<CommittedTransaction> path)
    {
        int before = path.IndexOf(at);
        if (before >= 0) return $"no order of the transactions: {string.Join(" before ", path.Skip(before).Append(at).Select(t => t.Name))}";
        if (done.Contains(at)) return null;
        path.Add(at);
        foreach (CommittedTransaction next in after[at])
        {
            if (FindCircle(next, after, done, path) is { } circle) return circle;
        }

        path.RemoveAt(path.Count - 1);
        done.Add(at);
        return null;
    }
}

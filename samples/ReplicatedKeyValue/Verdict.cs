// Whether the run kept its promise, from what the writers were told and what the servers hold at the end.
using System.Globalization;
using Samples.Shared;

namespace ReplicatedKeyValue;

/// <summary>What one server holds at the end.</summary>
/// <param name="Name">The server.</param>
/// <param name="Values">The number of each key.</param>
internal sealed record Held(string Name, IReadOnlyDictionary<string, long> Values);

/// <summary>The judgement.</summary>
/// <param name="Acknowledged">The last number of each key that was acknowledged.</param>
/// <param name="Servers">What each server holds.</param>
/// <param name="Writes">Writes that were acknowledged.</param>
/// <param name="Repeated">Requests that were made again.</param>
/// <param name="Longest">The longest write.</param>
internal sealed record Verdict(IReadOnlyDictionary<string, long> Acknowledged, IReadOnlyList<Held> Servers, long Writes, long Repeated, TimeSpan Longest) : IVerdict
{
    /// <summary>Acknowledged writes that a server does not hold, the worst server's.</summary>
    public long Lost => Servers.Count == 0 ? Writes : Servers.Max(LostAt);

    /// <summary>Nothing is lost, and all servers hold the same.</summary>
    public bool IsGood => Writes > 0 && Lost == 0 && Servers.All(s => Same(s.Values, Servers[0].Values));

    public IEnumerable<string> Lines()
    {
        foreach (Held server in Servers)
            yield return Invariant($"{server.Name}: {server.Values.Count} keys, {LostAt(server)} acknowledged writes lost");
        yield return Invariant($"acknowledged {Writes}, requests repeated {Repeated}, longest write {Longest.TotalMilliseconds:F0} ms");
        yield return Invariant($"lost {Lost}");
        yield return $"verdict: {(IsGood ? "every acknowledged write is at every server" : Lost > 0 ? "ACKNOWLEDGED WRITES WERE LOST" : "THE SERVERS DIFFER, OR NOTHING WAS WRITTEN")}";
    }

    // Numbers grow by one with each write of a key: a smaller one has lost the difference.
    private long LostAt(Held server) => Acknowledged.Sum(a => Math.Max(0, a.Value - server.Values.GetValueOrDefault(a.Key)));

    private static bool Same(IReadOnlyDictionary<string, long> one, IReadOnlyDictionary<string, long> other) =>
        one.Count == other.Count && one.All(e => other.TryGetValue(e.Key, out long value) && value == e.Value);

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}

// The order in which configurations happened, taken from the nodes' own orders and never from clocks (EVS 2: ->).
// A node is known by its name here: what an incarnation installed precedes what the next one installs; and, by its members,
// what an incarnation agreed to (all members do before anyone installs it) precedes what the next one agrees to.
namespace Core.Groups.Testing.Checkers;

/// <summary>The configurations of a history and which precedes which.</summary>
internal sealed class ConfigurationGraph
{
    private readonly Dictionary<string, int> index = [];
    private readonly List<HashSet<int>> next = [];
    private readonly List<int> rank = [];

    /// <param name="byMembers">Whether members order configurations too that they did not live to install.</param>
    /// <param name="more">What else is known to precede what.</param>
    internal ConfigurationGraph(History history, bool byMembers = true, IReadOnlyList<(Period Earlier, Period Later)>? more = null)
    {
        foreach (IGrouping<string, NodeTrace> incarnations in history.Traces.GroupBy(trace => trace.Node.Name))
        {
            Period? last = null;
            foreach (Period period in incarnations.OrderBy(trace => trace.Node.Incarnation).SelectMany(trace => trace.Periods))
            {
                if (period.IsTransitional)
                    continue;
                int to = IndexOf(period);
                if (last is not null && last.RegularId != period.RegularId)
                    next[index[last.RegularId]].Add(to);
                last = period;
            }
        }
        if (byMembers)
            AddMembers();
        foreach ((Period earlier, Period later) in more ?? [])
            next[index[earlier.RegularId]].Add(index[later.RegularId]);
        Sort();
    }

    /// <summary>The regular configurations, each as one of its installations, in an order that contains the precedence.</summary>
    internal List<Period> Sorted { get; } = [];

    /// <summary>Configurations of which each precedes itself: no order contains them. Empty in a sound history.</summary>
    internal List<Period> Circular { get; } = [];

    private readonly List<Period> installations = [];

    /// <summary>Whether the earlier one precedes the later one. The earlier must stand before the later in <see cref="Sorted"/>.</summary>
    internal bool Precedes(Period earlier, Period later)
    {
        int target = index[later.RegularId];
        var seen = new HashSet<int>();
        var open = new Stack<int>([index[earlier.RegularId]]);
        while (open.TryPop(out int at))
        {
            foreach (int to in next[at])
            {
                if (to == target)
                    return true;
                if (rank[to] < rank[target] && seen.Add(to))
                    open.Push(to);
            }
        }
        return false;
    }

    private int IndexOf(Period period)
    {
        if (!index.TryGetValue(period.RegularId, out int at))
        {
            index.Add(period.RegularId, at = installations.Count);
            installations.Add(period);
            next.Add([]);
            rank.Add(int.MaxValue);
        }
        return at;
    }

    private void AddMembers()
    {
        foreach (var name in installations.SelectMany((period, at) => period.Members.Select(member => (Member: member, At: at))).GroupBy(entry => entry.Member.Name))
        {
            int[] before = [];
            foreach (var incarnation in name.GroupBy(entry => entry.Member.Incarnation).OrderBy(entries => entries.Key))
            {
                int[] those = [.. incarnation.Select(entry => entry.At)];
                foreach (int from in before)
                    next[from].UnionWith(those);
                before = those;
            }
        }
    }

    private void Sort()
    {
        var missing = new int[next.Count];
        foreach (int to in next.SelectMany(targets => targets))
            missing[to]++;
        var ready = new Queue<int>(Enumerable.Range(0, next.Count).Where(at => missing[at] == 0));
        while (ready.TryDequeue(out int at))
        {
            rank[at] = Sorted.Count;
            Sorted.Add(installations[at]);
            foreach (int to in next[at])
            {
                if (--missing[to] == 0)
                    ready.Enqueue(to);
            }
        }
        Circular.AddRange(installations.Where((_, at) => rank[at] == int.MaxValue));
    }
}

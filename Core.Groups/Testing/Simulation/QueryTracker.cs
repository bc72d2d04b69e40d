// The questions of one incarnation about groups, and what must be true of their answers.
// Keeps: an answer is of one moment: a group that is found has members that are nodes, a list is in order and names each group once.
using System.Collections.Immutable;
using Core.Groups.Protocol;
using Core.Groups.Protocol.Groups;

namespace Core.Groups.Testing.Simulation;

/// <summary>Asks, lists and deletes; holds the machine to the form of its answers.</summary>
internal sealed class QueryTracker(SimulatedCluster cluster, SimulatedProcess process, CallTracker calls)
{
    /// <summary>The ends of the questions that have not ended, by call.</summary>
    private readonly Dictionary<long, (string Text, Action<GroupInfo?>? Found)> asked = [];
    private readonly Dictionary<long, Watched> watches = [];

    private sealed class Watched
    {
        public bool HasBegun { get; set; }
        public long Number { get; set; }
    }

    public void Find(string address, Action<GroupInfo?>? found = null)
    {
        long call = calls.Begin($"look {address} up", _ => { });
        asked.Add(call, (address, found));
        process.Call(now => process.Machine.FindGroup(now, call, address));
    }

    /// <summary>The id leads to the same group as long as it is there, whatever becomes of the name.</summary>
    public void FindAgain(GroupInfo? before)
    {
        if (before is not null) Find(before.Id.ToString());
    }

    public void List(string prefix)
    {
        long call = calls.Begin($"list {prefix}");
        asked.Add(call, (prefix, null));
        process.Call(now => process.Machine.ListGroups(now, call, prefix));
    }

    public void Delete(string address)
    {
        long call = calls.Begin($"delete {address}", outcome =>
        {
            if (outcome == Outcome.Done) cluster.Coverage.Deletions++;
        });
        process.Call(now => process.Machine.DeleteGroup(now, call, address));
    }

    public void Watch(string address)
    {
        long call = 0;
        call = calls.Begin($"watch {address}", _ => watches.Remove(call));
        watches.Add(call, new Watched());
        process.Call(now => process.Machine.WatchGroup(now, call, address));
        // A watch has no end of its own: this application has seen enough after a while.
        process.After(TimeSpan.FromSeconds(20), () => process.Call(now =>
        {
            if (watches.ContainsKey(call)) process.Machine.Cancel(now, call);
        }));
    }

    public void OnWatchBegun(long call)
    {
        if (!watches.TryGetValue(call, out Watched? watch) || watch.HasBegun) cluster.Violate($"{process.Id}: watch {call} began, but it was not asked for or had begun before.");
        else watch.HasBegun = true;
    }

    public void OnWatchedChange(long call, GroupId group, ViewChange change)
    {
        if (!watches.TryGetValue(call, out Watched? watch) || !watch.HasBegun || change.Number <= watch.Number)
        {
            cluster.Violate($"{process.Id}: watch {call} was told of view {change.Number}, which is not the next.");
            return;
        }
        bool isNext = watch.Number == 0 || change.Number == watch.Number + 1;      // else it was cut off for longer than the members remember
        if (group != GroupId.None && isNext) cluster.AgreeOnChange(process.Id, group, change);
        watch.Number = change.Number;
        cluster.Coverage.WatchedChanges++;
    }

    public void OnFound(long call, GroupInfo? group)
    {
        calls.OnCompleted(call, Outcome.Done);
        if (!asked.Remove(call, out var question)) return;
        bool isIt = group is null || group.Name == question.Text || group.Id.ToString() == question.Text;
        if (!isIt) cluster.Violate($"{process.Id} asked for {question.Text} and was told of {group!.Name} {group.Id}.");
        if (group is not null && (group.Members.IsEmpty || group.Members.Distinct().Count() != group.Members.Length))
            cluster.Violate($"{process.Id} was told that {group.Name} has the members [{string.Join(' ', group.Members)}].");
        question.Found?.Invoke(group);
    }

    public void OnListed(long call, ImmutableArray<string> names)
    {
        calls.OnCompleted(call, Outcome.Done);
        if (!asked.Remove(call, out var question)) return;
        bool isGood = names.All(n => n.StartsWith(question.Text, StringComparison.Ordinal)) && names.SequenceEqual(names.Distinct().Order(StringComparer.Ordinal));
        if (!isGood) cluster.Violate($"{process.Id} asked for the names that begin with {question.Text} and got [{string.Join(' ', names)}].");
    }
}

// The names of the groups, kept by the oldest node of the configuration.
// Keeps: a name leads to one group; a look-up is answered only when every member has reported what it knows. Members tell
// on their own links: what is older than what is known here, or of a group that has ended, comes too late and is dropped.
// Follows: protocol.md section 7. Deviation: each oldest member of a group reports it right after the configuration is
// installed, in place of a part of the Recovereds: only the keeper needs it.
using System.Collections.Immutable;

namespace Core.Groups.Protocol.Groups;

/// <param name="Number">The number of the view; 0 before the first.</param>
internal sealed record RegistryEntry(GroupId Id, string Name, long Number, ImmutableArray<NodeId> Members);

internal sealed class Registry
{
    private readonly SortedDictionary<string, RegistryEntry> _entries = new(StringComparer.Ordinal);
    private readonly HashSet<NodeId> _missing = [];
    private readonly List<Action> _waiting = [];
    /// <summary>Groups that ended in this configuration: as many as the links may still carry something of.</summary>
    private readonly Queue<GroupId> _ended = new();
    private const int EndedKept = 256;

    public bool IsReady => _missing.Count == 0;

    public void Reset(IEnumerable<NodeId> members)
    {
        _entries.Clear();
        _waiting.Clear();
        _ended.Clear();
        _missing.Clear();
        _missing.UnionWith(members);
    }

    public void OnReport(NodeId from, IEnumerable<RegistryEntry> entries, bool isLast)
    {
        foreach (RegistryEntry entry in entries) _entries[entry.Name] = entry;
        if (!isLast || !_missing.Remove(from) || !IsReady) return;
        foreach (Action action in _waiting) action();
        _waiting.Clear();
    }

    public void Update(RegistryEntry entry)
    {
        RegistryEntry? known = _entries.GetValueOrDefault(entry.Name);
        if (entry.Members.IsEmpty)
        {
            if (known?.Id == entry.Id) _entries.Remove(entry.Name);
            if (_ended.Count == EndedKept) _ended.Dequeue();
            _ended.Enqueue(entry.Id);
        }
        else if (!_ended.Contains(entry.Id) && !(known?.Id == entry.Id && known.Number > entry.Number)) _entries[entry.Name] = entry;
    }

    /// <summary>Runs a look-up now, or when everybody has reported.</summary>
    public void WhenReady(Action action)
    {
        if (IsReady) action();
        else _waiting.Add(action);
    }

    /// <summary>The group of a name, made for <paramref name="creator"/> if there is none and a candidate id is given.</summary>
    public (RegistryEntry? Entry, bool Created) Find(string name, GroupId candidate, NodeId creator)
    {
        if (_entries.TryGetValue(name, out RegistryEntry? entry)) return (entry, false);
        if (candidate == GroupId.None) return (null, false);
        entry = new RegistryEntry(candidate, name, 0, [creator]);
        _entries.Add(name, entry);
        return (entry, true);
    }
}

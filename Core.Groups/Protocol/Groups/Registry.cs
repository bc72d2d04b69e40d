// The names and ids of the groups, kept by the oldest node of the configuration.
// Keeps: a name leads to one group; a look-up is answered only when every member has reported what it knows.
// Follows: protocol.md section 7. Deviation: each oldest member of a group reports it right after the configuration is
// installed, in place of a part of the Recovereds: only the keeper needs it.
using System.Collections.Immutable;

namespace Core.Groups.Protocol.Groups;

/// <param name="Number">The number of the view: what is told of an older one comes from another member, and late.</param>
/// <param name="Formerly">Other ids that lead to the group.</param>
internal sealed record RegistryEntry(GroupId Id, string Name, ImmutableArray<NodeId> Members, long Number, ImmutableArray<GroupId> Formerly)
{
    /// <summary>Whether an id is the group's, or was before it was merged.</summary>
    public bool IsKnownAs(GroupId id) => id == Id || Formerly.Contains(id);
}

internal sealed class Registry
{
    private readonly Dictionary<string, RegistryEntry> _entries = new(StringComparer.Ordinal);
    private readonly Dictionary<GroupId, RegistryEntry> _byId = [];
    private readonly HashSet<NodeId> _missing = [];
    private readonly List<Action> _waiting = [];

    public bool IsReady => _missing.Count == 0;

    public void Reset(IEnumerable<NodeId> members)
    {
        _entries.Clear();
        _byId.Clear();
        _waiting.Clear();
        _missing.Clear();
        _missing.UnionWith(members);
    }

    public void OnReport(NodeId from, IEnumerable<RegistryEntry> entries, bool isLast)
    {
        foreach (RegistryEntry entry in entries) Set(entry);
        if (!isLast || !_missing.Remove(from) || !IsReady) return;
        foreach (Action action in _waiting) action();
        _waiting.Clear();
    }

    public void Update(RegistryEntry entry)
    {
        // A group comes in by a look-up or a report: what is not known is gone.
        if (!_entries.TryGetValue(entry.Name, out RegistryEntry? known) || known.Id != entry.Id) return;
        if (entry.Members.IsEmpty)
        {
            _entries.Remove(entry.Name);
            foreach (GroupId id in known.Formerly.Append(known.Id)) _byId.Remove(id);
        }
        else if (entry.Number > known.Number) Set(entry);
    }

    private void Set(RegistryEntry entry)
    {
        // The name is there already, as a rule: it is not kept twice.
        if (_entries.TryGetValue(entry.Name, out RegistryEntry? known)) entry = entry with { Name = known.Name };
        _entries[entry.Name] = entry;
        foreach (GroupId id in entry.Formerly.Append(entry.Id)) _byId[id] = entry;
    }

    /// <summary>Runs a look-up now, or when everybody has reported.</summary>
    public void WhenReady(Action action)
    {
        if (IsReady) action();
        else _waiting.Add(action);
    }

    /// <summary>The names that begin so, in order.</summary>
    public IEnumerable<string> NamesWith(string prefix) => _entries.Keys.Where(name => name.StartsWith(prefix, StringComparison.Ordinal)).Order(StringComparer.Ordinal);

    /// <summary>The group of a name, or of an id in text, made for <paramref name="creator"/> if there is none and a candidate id is given.</summary>
    public (RegistryEntry? Entry, bool Created) Find(string name, GroupId candidate, NodeId creator)
    {
        if (_entries.TryGetValue(name, out RegistryEntry? entry)) return (entry, false);
        if (GroupId.TryParse(name, out GroupId id)) return (_byId.GetValueOrDefault(id), false);
        if (candidate == GroupId.None) return (null, false);
        entry = new RegistryEntry(candidate, name, [creator], 0, []);
        Set(entry);
        return (entry, true);
    }
}

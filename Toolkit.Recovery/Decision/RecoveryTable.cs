// The recovery managers' common state: who is here, what the logs say, who was told what. All managers apply the same operations
// in the same order ("a single shared data structure": "Exploiting virtual synchrony", section 3.6).
// Keeps: nobody is told to restore a group while another one was, or is in it; nobody acts on what a majority of the electorate has
// not written down.
using System.Collections.Immutable;
using Core.Groups;
using Core.Groups.Replication;

namespace Toolkit.Recovery.Decision;

/// <summary>What a node has to do with a group.</summary>
internal sealed class MemberEntry
{
    public MemberPhase Phase { get; set; }
    public LogReport? Report { get; set; }

    /// <summary>Whether it cleans up after members that fail.</summary>
    public bool CleansUp { get; set; }

    /// <summary>The node's own count of its attempts to join: what it is told answers one of them.</summary>
    public long Attempt { get; set; }

    /// <summary>The version of the catalogue that a majority must have written down first.</summary>
    public long Needs { get; set; }

    /// <summary>The term that a restored group begins; 0: the group begins empty.</summary>
    public long Term { get; set; }
}

/// <summary>A group, and the nodes that have to do with it.</summary>
internal sealed class GroupEntry(CatalogueEntry? catalogue)
{
    /// <summary>Null: nobody knows of such a group; somebody asks for it.</summary>
    public CatalogueEntry? Catalogue { get; set; } = catalogue;

    public SortedDictionary<NodeId, MemberEntry> Members { get; } = [];

    /// <summary>An operator has decided since the group ran: a majority is not asked for.</summary>
    public bool IsDecided { get; set; }

    /// <summary>Members that failed, and whose clean-up nobody has reported yet.</summary>
    public SortedSet<NodeId> Failed { get; } = [];

    /// <summary>Who cleans up now.</summary>
    public NodeId? Cleaner => Members.Where(m => m.Value is { Phase: MemberPhase.Active, CleansUp: true }).Select(m => (NodeId?)m.Key).FirstOrDefault();

    public bool IsRunning => Members.Values.Any(m => m.Phase == MemberPhase.Active);

    /// <summary>Whether somebody may be in the group, with its state.</summary>
    public bool IsHeld => Members.Values.Any(m => m.Phase is not (MemberPhase.Idle or MemberPhase.Waiting));
}

/// <summary>What a node says that it has to do with a group.</summary>
/// <param name="Group">The group's name.</param>
/// <param name="Phase">One that a node can say: not what it is told.</param>
/// <param name="Attempt">The node's count of its attempts to join.</param>
/// <param name="CleansUp">Whether it cleans up after members that fail.</param>
/// <param name="Report">Its log; null: none, or it is in use.</param>
internal sealed record Declaration(string Group, MemberPhase Phase, long Attempt, bool CleansUp, LogReport? Report);

/// <summary>A node with a recovery manager.</summary>
/// <param name="Store">The id of its store.</param>
/// <param name="IsElector">Whether it is one of the seeds.</param>
/// <param name="Seeds">How many seeds there are.</param>
internal sealed record ManagerEntry(ulong Store, bool IsElector, int Seeds)
{
    /// <summary>The version of the catalogue that it has on disk.</summary>
    public long Stored { get; init; }
}

/// <summary>The table. Deterministic.</summary>
internal sealed class RecoveryTable
{
    private const int MostFailed = 1000;

    private readonly SortedDictionary<NodeId, ManagerEntry> _managers = [];
    private readonly SortedDictionary<string, GroupEntry> _groups = new(StringComparer.Ordinal);

    /// <summary>Counts the changes of the catalogue.</summary>
    public long Version { get; private set; }

    public IReadOnlyDictionary<NodeId, ManagerEntry> Managers => _managers;

    public IReadOnlyDictionary<string, GroupEntry> Groups => _groups;

    /// <summary>What is to be written down.</summary>
    public IEnumerable<CatalogueEntry> Catalogue => _groups.Values.Where(g => g.Catalogue is not null).Select(g => g.Catalogue!);

    // ---- operations

    /// <summary>Only these nodes are here. To be told twice changes nothing.</summary>
    public void Keep(ImmutableArray<NodeId> here)
    {
        foreach (NodeId gone in _managers.Keys.Where(n => !here.Contains(n)).ToArray()) _managers.Remove(gone);
        foreach ((string name, GroupEntry group) in _groups)
        {
            NodeId[] left = [.. group.Members.Keys.Where(n => !here.Contains(n))];
            NodeId[] failed = [.. left.Where(n => group.Members[n].Phase == MemberPhase.Active)];
            foreach (NodeId gone in left) group.Members.Remove(gone);
            if (group.Cleaner is not null && group.Failed.Count < MostFailed) group.Failed.UnionWith(failed); // else no survivor wants to know
            if (left.Length > 0) Decide(name, group);
        }
    }

    /// <summary>A manager says who it is, what its disk knows, and all that it has to do with groups.</summary>
    public void Introduce(NodeId node, ManagerEntry manager, long version, IEnumerable<CatalogueEntry> catalogue, IEnumerable<Declaration> declarations)
    {
        _managers[node] = manager;
        bool isNew = version > Version;
        Version = Math.Max(Version, version);
        foreach (CatalogueEntry entry in catalogue)
        {
            GroupEntry group = Open(entry.Name);
            if (group.Catalogue is null) (group.Catalogue, isNew) = (entry, true);
            else isNew |= group.Catalogue.Merge(entry);
        }

        if (isNew) Version++;
        foreach (Declaration declaration in declarations) Note(node, declaration);
        foreach ((string name, GroupEntry group) in _groups) Decide(name, group);
    }

    /// <summary>A node says what it has to do with a group now.</summary>
    public void Declare(NodeId node, Declaration declaration)
    {
        if (!_managers.ContainsKey(node)) return;
        Decide(declaration.Group, Note(node, declaration));
    }

    /// <summary>A manager has this version of the catalogue on its disk.</summary>
    public void Stored(NodeId node, long version)
    {
        if (_managers.TryGetValue(node, out ManagerEntry? manager) && version > manager.Stored) _managers[node] = manager with { Stored = version };
    }

    /// <summary>What a failed member left behind is cleaned up.</summary>
    public void CleanedUp(string name, NodeId failed)
    {
        if (_groups.TryGetValue(name, out GroupEntry? group)) group.Failed.Remove(failed);
    }

    /// <summary>An operator decides whom a group goes on with. Nothing happens while it is held.</summary>
    public void Override(string name, ImmutableArray<string> chosen)
    {
        if (!_groups.TryGetValue(name, out GroupEntry? group) || group.Catalogue is null || group.IsHeld) return;
        group.Catalogue.Forced++;
        group.Catalogue.Chosen = chosen;
        group.IsDecided = true;
        Version++;
        Decide(name, group);
    }

    // ---- handed on to joiners

    public void Write(BodyWriter writer)
    {
        writer.Varint(Version);
        writer.Varint(_managers.Count);
        foreach ((NodeId node, ManagerEntry manager) in _managers)
        {
            writer.Node(node);
            TableFormat.Write(writer, manager);
            writer.Varint(manager.Stored);
        }

        writer.Varint(_groups.Count);
        foreach ((string name, GroupEntry group) in _groups)
        {
            writer.Text(name);
            writer.Flag(group.Catalogue is not null);
            group.Catalogue?.Write(writer);
            writer.Flag(group.IsDecided);
            writer.Varint(group.Failed.Count);
            foreach (NodeId failed in group.Failed) writer.Node(failed);
            writer.Varint(group.Members.Count);
            foreach ((NodeId node, MemberEntry member) in group.Members)
            {
                writer.Node(node);
                TableFormat.Write(writer, member);
            }
        }
    }

    public static RecoveryTable Read(ref BodyReader reader)
    {
        var table = new RecoveryTable { Version = reader.Varint() };
        for (int managers = reader.Count(); managers > 0; managers--)
        {
            NodeId node = reader.Node();
            table._managers[node] = TableFormat.ReadManager(ref reader) with { Stored = reader.Varint() };
        }

        for (int groups = reader.Count(); groups > 0; groups--)
        {
            GroupEntry group = table.Open(reader.Text());
            if (reader.Flag()) group.Catalogue = CatalogueEntry.Read(ref reader);
            group.IsDecided = reader.Flag();
            for (int failed = reader.Count(); failed > 0; failed--) group.Failed.Add(reader.Node());
            for (int members = reader.Count(); members > 0; members--)
            {
                NodeId node = reader.Node();
                group.Members[node] = TableFormat.ReadMember(ref reader);
            }
        }

        return table;
    }

    // ---- what follows

    /// <summary>The call of a node to act: its entry, once it was told something in answer to this attempt that a majority has written down.</summary>
    public MemberEntry? TicketOf(NodeId node, string name, long attempt) =>
        _groups.TryGetValue(name, out GroupEntry? group) && group.Members.TryGetValue(node, out MemberEntry? member)
        && member.Attempt == attempt && member.Phase is MemberPhase.Restoring or MemberPhase.Joining && IsWrittenDown(member.Needs, group.IsDecided) ? member : null;

    /// <summary>Why nobody restores a group now; null: it runs, or is on its way.</summary>
    public RestartDecision? WaitOf(string name)
    {
        if (!_groups.TryGetValue(name, out GroupEntry? group) || group.IsHeld) return null;
        if (group.Catalogue is not null && Judge(group) is { Source: null } wait) return wait;
        return HasQuorum() || group.IsDecided ? null : new RestartDecision(null, null, [], "less than a majority of the seeds run a recovery manager here: the others may know more of the group. Start them.");
    }

    private GroupEntry Note(NodeId node, Declaration declared)
    {
        GroupEntry group = Open(declared.Group);
        if (!group.Members.TryGetValue(node, out MemberEntry? member)) group.Members[node] = member = new MemberEntry();
        if (declared.Phase == MemberPhase.Active) group.IsDecided = false;
        (member.Phase, member.Attempt, member.CleansUp, member.Report) = (declared.Phase, declared.Attempt, declared.CleansUp, declared.Report);
        if (group.Catalogue is null && declared.Report is { } report)
        {
            // A log that no catalogue knows: its members must be waited for all the same.
            group.Catalogue = new CatalogueEntry(declared.Group) { Forced = report.Point.Forced, Chosen = [node.Name] };
            Version++;
            foreach (string holder in report.Members.Where(h => h != node.Name)) group.Catalogue.Holders[holder] = new Holder(0, Version);
            Admit(group.Catalogue, node);
        }

        return group;
    }

    private void Decide(string name, GroupEntry group)
    {
        KeyValuePair<NodeId, MemberEntry>[] waiting = [.. group.Members.Where(m => m.Value.Phase == MemberPhase.Waiting)];
        if (waiting.Length == 0) return;
        if (group.IsRunning)
        {
            foreach ((NodeId node, MemberEntry member) in waiting) Tell(group, node, member, MemberPhase.Joining);
        }
        else if (group.IsHeld || !(HasQuorum() || group.IsDecided))
        {
            return; // fewer might not know what was written down
        }
        else if (group.Catalogue is null)
        {
            Version++;
            group.Catalogue = new CatalogueEntry(name);
            Tell(group, waiting[0].Key, waiting[0].Value, MemberPhase.Restoring);
        }
        else if (Judge(group) is { Source: { } source } decision)
        {
            (NodeId node, MemberEntry member) = waiting.First(w => w.Key.Name == source);
            member.Term = decision.Point is { } point ? point.Term + 1 : 0;
            Tell(group, node, member, MemberPhase.Restoring);
        }
    }

    private RestartDecision Judge(GroupEntry group) => LastToFail.Decide(
        [.. _managers.Select(m => new Candidate(
            m.Key.Name, m.Value.Store, group.Members.GetValueOrDefault(m.Key)?.Report, group.Members.GetValueOrDefault(m.Key)?.Phase == MemberPhase.Waiting))],
        group.Catalogue!);

    // A member that begins the group, when nothing was ever logged, begins term 0.
    private void Tell(GroupEntry group, NodeId node, MemberEntry member, MemberPhase phase)
    {
        member.Phase = phase;
        long admitted = Admit(group.Catalogue!, node);
        member.Needs = group.IsDecided || group.Catalogue!.Forced > 0 ? Version : admitted;
    }

    // Gives the version that has the node among the holders.
    private long Admit(CatalogueEntry catalogue, NodeId node)
    {
        ulong store = _managers[node].Store;
        if (!catalogue.Holders.TryGetValue(node.Name, out Holder holder) || holder.Store != store) catalogue.Holders[node.Name] = holder = new Holder(store, ++Version);
        return holder.Stamp;
    }

    private GroupEntry Open(string name)
    {
        if (!_groups.TryGetValue(name, out GroupEntry? group)) _groups[name] = group = new GroupEntry(null);
        return group;
    }

    private int Majority => (_managers.Values.Select(m => m.Seeds).DefaultIfEmpty(0).Max() / 2) + 1;

    private bool HasSeeds => _managers.Values.Any(m => m.Seeds > 0);

    // Without seeds there is no electorate, and nothing to be sure of: those that are here decide.
    private bool HasQuorum() => !HasSeeds || _managers.Values.Count(m => m.IsElector) >= Majority;

    private bool IsWrittenDown(long version, bool isDecided) => HasSeeds && !isDecided
        ? _managers.Values.Count(m => m.IsElector && m.Stored >= version) >= Majority
        : _managers.Values.All(m => m.Stored >= version);
}

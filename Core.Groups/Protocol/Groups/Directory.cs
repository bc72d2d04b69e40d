// Names to groups: the registry at the oldest node, and the joins and look-ups of this one.
// Keeps: a join is asked again until it succeeds or is given up, whatever fails in between.
// Follows: protocol.md section 7.
using System.Collections.Immutable;
using Core.Groups.Wire;

namespace Core.Groups.Protocol.Groups;

internal sealed class Directory(NodeContext context, Services services, GroupService groups)
    : Questions<string, Directory.Join>(context, StringComparer.Ordinal)
{
    /// <summary>A report's or a list's record is closed beyond so many bytes: it must fit into a frame.</summary>
    private const int RecordBytes = 16 << 10;
    private readonly Registry _registry = new();
    private readonly Dictionary<string, List<(NodeId Joiner, ReadOnlyMemory<byte> Credentials)>> _earlyJoins = [];
    private readonly Dictionary<long, Action<RegistryEntry?>> _lookups = [];
    private long _lastLookup;

    /// <summary>Joiners whose credentials the application looks at, by token.</summary>
    private readonly SortedDictionary<long, (GroupId Group, NodeId Joiner, bool IsMigrant)> _inspected = [];
    private long _lastInspection;

    /// <summary>A join that the application asked for.</summary>
    internal sealed class Join(long call, string name, GroupId candidate, GroupId expected, ReadOnlyMemory<byte> credentials, bool inspects)
        : Question(call)
    {
        public ReadOnlyMemory<byte> Credentials => credentials;
        /// <summary>Whether the application looks at the credentials of those that join later.</summary>
        public bool Inspects => inspects;
        public string Name => name;
        public GroupId Candidate => candidate;
        /// <summary>The one group that is meant, whatever else has its name; none: any.</summary>
        public GroupId Expected => expected;
        /// <summary>The member that moves to this node with this join: nobody else is asked.</summary>
        public NodeId? Migrant { get; init; }
        public long Lookup { get; set; }
    }

    private NodeId Keeper => Context.NodeAt(0);

    public bool IsJoining(string name) => Open.ContainsKey(name);

    // ---- joining

    public void Begin(Join join) => Begin(join.Name, join);

    /// <summary>The application gave a join up. True: it was under way.</summary>
    public bool Cancel(long call)
    {
        Join? join = Open.Values.FirstOrDefault(j => j.Call == call);
        if (join is null) return false;
        Open.Remove(join.Name);
        groups.Migrations.OnGivenUp(join);
        foreach ((NodeId early, _) in _earlyJoins.GetValueOrDefault(join.Name) ?? []) Refuse(early, join.Name);
        _earlyJoins.Remove(join.Name);
        return true;
    }

    /// <summary>A membership of this name ended, or turned out unwanted: a join that was asked for since can go on.</summary>
    public void Retry(string name)
    {
        if (Open.TryGetValue(name, out Join? join)) AskAt(join, Context.Now);
    }

    /// <summary>This node has become a member: the join that asked for it, or null if that was given up.</summary>
    public Join? TakeJoin(string name) => Open.Remove(name, out Join? join) ? join : null;

    protected override void Ask(Join join)
    {
        if (join.Migrant is not { } member) join.Lookup = LookUp(join.Name, join.Candidate, entry => Answered(join, entry));
        else if (Context.RankOf(member) >= 0) AskToJoin(join, member, join.Expected);
        else
        {
            Open.Remove(join.Name);
            Context.Effects.JoinRefused(join.Call, $"{member.Name}, which was to move here, has failed");
        }
    }

    /// <summary>Whether a member of this name is to move here from this node.</summary>
    public bool IsMigrating(string name, NodeId from) => Open.TryGetValue(name, out Join? join) && join.Migrant == from;

    /// <summary>The member that is to move here.</summary>
    public NodeId? MigrantOf(GroupId group) => Open.Values.FirstOrDefault(j => j.Expected == group)?.Migrant;

    private void Answered(Join join, RegistryEntry? entry)
    {
        if (!Open.TryGetValue(join.Name, out Join? present) || present != join || !Context.IsWorking) return;
        if (entry is { } created && created.Id == join.Candidate && created.Members is [var only] && only == Context.Self)
        {
            Open.Remove(join.Name);
            groups.Create(created.Id, created.Name, join);
            return;
        }
        if (join.Expected != GroupId.None && entry?.IsKnownAs(join.Expected) != true)
        {
            Open.Remove(join.Name);
            Context.Effects.Completed(join.Call, Outcome.NoSuchGroup);
            return;
        }
        NodeId contact = entry?.Members.FirstOrDefault(m => m != Context.Self && Context.RankOf(m) >= 0) ?? default;
        if (contact.Name is null) AskLater(join);
        else AskToJoin(join, contact, entry!.Id);
    }

    private void AskToJoin(Join join, NodeId member, GroupId group) => services.Send(member, ServiceRecord.JoinRequest, writer =>
    {
        writer.Group(group);
        writer.Text(join.Name);
        writer.Blob(join.Credentials.Span);
        writer.Flag(join.Migrant is not null);
    });

    /// <summary>Asks the registry. The answer comes in this configuration, or never.</summary>
    public long LookUp(string name, GroupId candidate, Action<RegistryEntry?> answered)
    {
        long number = ++_lastLookup;
        _lookups.Add(number, answered);
        services.Send(Keeper, ServiceRecord.Lookup, writer =>
        {
            writer.Varint(number);
            writer.Text(name);
            writer.Group(candidate);
        });
        return number;
    }

    // ---- records

    public void OnLookup(NodeId from, ref WireReader reader)
    {
        long number = reader.Varint();
        string name = reader.Text();
        GroupId candidate = reader.Group();
        _registry.WhenReady(() =>
        {
            (RegistryEntry? entry, _) = _registry.Find(name, candidate, from);
            services.Send(from, ServiceRecord.LookupReply, writer =>
            {
                writer.Varint(number);
                writer.Flag(entry is not null);
                if (entry is not null) Write(writer, entry);
            });
        });
    }

    public void OnList(NodeId from, ref WireReader reader)
    {
        long number = reader.Varint();
        string prefix = reader.Text();
        _registry.WhenReady(() =>
        {
            foreach ((string[] names, bool isLast) in InRecords(_registry.NamesWith(prefix), static name => 3 * name.Length))
            {
                services.Send(from, ServiceRecord.ListReply, writer =>
                {
                    writer.Varint(number);
                    writer.Flag(isLast);
                    writer.Varint(names.Length);
                    foreach (string name in names) writer.Text(name);
                });
            }
        });
    }

    public void OnLookupReply(ref WireReader reader)
    {
        long number = reader.Varint();
        RegistryEntry? entry = reader.Flag() ? Read(ref reader) : null;
        if (!_lookups.Remove(number, out Action<RegistryEntry?>? answered)) return;
        if (_lookups.Count == 0) _lookups.TrimExcess();
        answered(entry);
    }

    public void OnJoinRequest(NodeId from, ref WireReader reader)
    {
        GroupId id = reader.Group();
        string name = reader.Text();
        ReadOnlyMemory<byte> credentials = reader.Blob();
        bool isMigrant = reader.Flag();
        GroupMember? asked = groups.Find(id);
        if (isMigrant && (asked is null || !groups.Migrations.IsWanted(asked, from))) RefuseMigrant(from, name, "the member that was to move here has left, or stays");
        else if (asked is { IsLeaving: false } group) Receive(group, from, credentials, isMigrant);
        else if (Open.TryGetValue(name, out Join? join) && join.Candidate == id)
        {
            if (!_earlyJoins.TryGetValue(name, out var early)) _earlyJoins.Add(name, early = []);
            early.Add((from, credentials));      // the registry's answer that makes this node the first member is on its way
        }
        else Refuse(from, name);
    }

    public void ServeEarlyJoins(GroupMember group)
    {
        if (!_earlyJoins.Remove(group.Name, out var early)) return;
        foreach ((NodeId joiner, ReadOnlyMemory<byte> credentials) in early) Receive(group, joiner, credentials);
    }

    private void Receive(GroupMember group, NodeId joiner, ReadOnlyMemory<byte> credentials, bool isMigrant = false)
    {
        if (!group.Inspects)
        {
            Admit(group, joiner, isMigrant);
            return;
        }
        _inspected.Add(++_lastInspection, (group.Id, joiner, isMigrant));
        Context.Effects.InspectJoin(group.Id, _lastInspection, joiner, credentials);
    }

    /// <summary>The application has looked at a joiner's credentials; null: it is welcome.</summary>
    public void OnInspected(long token, string? refusal)
    {
        if (!_inspected.Remove(token, out var inspected) || Context.RankOf(inspected.Joiner) < 0) return;      // a configuration change: it asks again
        if (groups.Find(inspected.Group) is not { } group) return;
        if (refusal is null && !group.IsLeaving) Admit(group, inspected.Joiner, inspected.IsMigrant);
        else Refuse(inspected.Joiner, group.Name, refusal);
        if (refusal is not null && inspected.IsMigrant && groups.Migrations.IsWanted(group, inspected.Joiner)) groups.Migrations.Fail(group, $"this member's application refused the target: {refusal}");
    }

    private void Admit(GroupMember group, NodeId joiner, bool isMigrant)
    {
        if (!isMigrant) groups.Admit(group, joiner);
        else if (groups.Migrations.IsWanted(group, joiner)) groups.Migrations.Admit(group);
        else RefuseMigrant(joiner, group.Name, "the member that was to move here stays");
    }

    /// <summary>The node does not take a member's place after all.</summary>
    public void RefuseMigrant(NodeId joiner, string name, string reason)
    {
        if (Context.IsWorking && Context.RankOf(joiner) >= 0) Refuse(joiner, name, reason);
    }

    /// <summary>This node's membership has ended: the joiners ask another member.</summary>
    public void OnEnded(GroupMember group)
    {
        foreach ((long token, var inspected) in _inspected.Where(i => i.Value.Group == group.Id).ToArray())
        {
            _inspected.Remove(token);
            Refuse(inspected.Joiner, group.Name);
        }
    }

    public void Refuse(NodeId joiner, GroupMember group) => Refuse(joiner, group.Name);

    /// <param name="reason">The application's; null: another member is to be asked.</param>
    private void Refuse(NodeId joiner, string name, string? reason = null) => services.Send(joiner, ServiceRecord.JoinRefused, writer =>
    {
        writer.Text(name);
        writer.Flag(reason is not null);
        if (reason is not null) writer.Text(reason);
    });

    public void OnJoinRefused(ref WireReader reader)
    {
        if (!Open.TryGetValue(reader.Text(), out Join? join)) return;
        if (!reader.Flag())
        {
            AskLater(join);
            return;
        }
        Open.Remove(join.Name);
        Context.Effects.JoinRefused(join.Call, reader.Text());
    }

    // ---- the registry's side

    /// <summary>Tells the keeper of a group of which this node is the oldest member.</summary>
    public void Tell(GroupMember group)
    {
        if (!Context.IsWorking) return;
        services.Send(Keeper, ServiceRecord.Update, writer => Write(writer, Describe(group)));
    }

    public void TellGone(GroupMember group)
    {
        if (!Context.IsWorking) return;
        services.Send(Keeper, ServiceRecord.Update, writer => Write(writer, Describe(group) with { Members = [] }));
    }

    public void OnUpdate(ref WireReader reader)
    {
        RegistryEntry entry = Read(ref reader);
        _registry.WhenReady(() => _registry.Update(entry));
    }

    public void OnReport(NodeId from, ref WireReader reader)
    {
        bool isLast = reader.Flag();
        var entries = new List<RegistryEntry>();
        for (int left = reader.Count(18); left > 0; left--) entries.Add(Read(ref reader));
        _registry.OnReport(from, entries, isLast);
    }

    public void OnInstalled()
    {
        _lookups.Clear();
        _earlyJoins.Clear();
        _inspected.Clear();
        if (Keeper == Context.Self) _registry.Reset(Context.Configuration!.Members);
        IEnumerable<GroupMember> mine = groups.Members.Where(g => g.View.Members[0] == Context.Self);
        foreach ((GroupMember[] part, bool isLast) in InRecords(mine, static g => 300 + (30 * g.View.Members.Length) + (16 * g.Formerly.Length)))
        {
            services.Send(Keeper, ServiceRecord.Report, writer =>
            {
                writer.Flag(isLast);
                writer.Varint(part.Length);
                foreach (GroupMember group in part) Write(writer, Describe(group));
            });
        }
        AskAll();
    }

    /// <summary>Parts of bounded size, at least one of them; the last one says so.</summary>
    private static IEnumerable<(T[] Items, bool IsLast)> InRecords<T>(IEnumerable<T> items, Func<T, int> sizeOf)
    {
        List<T> part = [];
        int size = 0;
        foreach (T item in items)
        {
            if (size > RecordBytes)
            {
                yield return ([.. part], false);
                part.Clear();
                size = 0;
            }
            part.Add(item);
            size += sizeOf(item);
        }
        yield return ([.. part], true);
    }

    private static RegistryEntry Describe(GroupMember group) => new(group.Id, group.Name, group.View.Members, group.View.Number, group.Formerly);

    private static void Write(WireWriter writer, RegistryEntry entry)
    {
        writer.Group(entry.Id);
        writer.Text(entry.Name);
        Services.WriteNodes(writer, entry.Members);
        writer.Varint(entry.Number);
        Services.WriteGroups(writer, entry.Formerly);
    }

    // There may be thousands of entries: their names and members are those that are here already, not what the wire made anew.
    private RegistryEntry Read(ref WireReader reader)
    {
        GroupId id = reader.Group();
        string name = reader.Text();
        ImmutableArray<NodeId> members = Services.ReadNodes(ref reader);
        GroupMember? own = groups.Find(id);
        if (own?.View is { } view && view.Members.SequenceEqual(members)) members = view.Members;
        else members = [.. members.Select(n => Context.RankOf(n) is >= 0 and var rank ? Context.NodeAt(rank) : n)];
        return new RegistryEntry(id, own?.Name == name ? own.Name : name, members, reader.Varint(), Services.ReadGroups(ref reader));
    }
}

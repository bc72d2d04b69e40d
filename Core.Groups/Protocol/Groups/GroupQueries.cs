// What the application asks of groups that it need not be a member of: look-up, list, delete.
// Keeps: each question ends once; what a configuration change has cut off is asked again. A delete names the group by its id from its
// first answer on: another group that is made under the name meanwhile is left alone.
// Follows: protocol.md section 7.
using Core.Groups.Wire;

namespace Core.Groups.Protocol.Groups;

internal sealed class GroupQueries(NodeContext context, Services services, GroupService groups)
{
    private static readonly TimeSpan RetryDelay = TimeSpan.FromMilliseconds(10);
    private readonly SortedDictionary<long, Query> _queries = [];

    private enum QueryKind { Find, List, Delete }

    private sealed class Query(long call, QueryKind kind, string text)
    {
        public long Call => call;
        public QueryKind Kind => kind;
        /// <summary>A name, an id, or the beginning of names.</summary>
        public string Text { get; set; } = text;
        /// <summary>The group that a member was asked to delete.</summary>
        public GroupId Group { get; set; }
        public List<string> Names { get; } = [];
        public TimeSpan? RetryAt { get; set; }
    }

    public void Find(long call, string address) => Begin(new Query(call, QueryKind.Find, address));

    public void List(long call, string prefix) => Begin(new Query(call, QueryKind.List, prefix));

    public void Delete(long call, string address) => Begin(new Query(call, QueryKind.Delete, address));

    private void Begin(Query query)
    {
        _queries.Add(query.Call, query);
        if (context.IsWorking) Ask(query);
    }

    /// <summary>True: the question had not ended. A delete that a member was asked for goes on.</summary>
    public bool Cancel(long call) => _queries.Remove(call);

    public IEnumerable<long> EndAll()
    {
        long[] calls = [.. _queries.Keys];
        _queries.Clear();
        return calls;
    }

    private void Ask(Query query)
    {
        query.RetryAt = null;
        query.Names.Clear();
        if (query.Kind != QueryKind.List)
        {
            groups.Directory.LookUp(query.Text, GroupId.None, entry => Answered(query, entry));
            return;
        }
        services.Send(context.NodeAt(0), ServiceRecord.List, writer =>
        {
            writer.Varint(query.Call);
            writer.Text(query.Text);
        });
    }

    private void Answered(Query query, RegistryEntry? entry)
    {
        if (!_queries.ContainsKey(query.Call)) return;
        if (query.Kind == QueryKind.Find)
        {
            _queries.Remove(query.Call);
            context.Effects.GroupFound(query.Call, entry is null ? null : new GroupInfo(entry.Id, entry.Name, entry.Number, entry.Members));
        }
        else if (entry is null)
        {
            End(query, query.Group == GroupId.None ? Outcome.NoSuchGroup : Outcome.Done);
        }
        else
        {
            query.Group = entry.Id;
            query.Text = entry.Id.ToString();
            NodeId member = entry.Members.Contains(context.Self) ? context.Self : entry.Members.FirstOrDefault(m => context.RankOf(m) >= 0);
            if (member.Name is null) query.RetryAt = context.Now + RetryDelay;
            else services.Send(member, ServiceRecord.Delete, writer => writer.Group(entry.Id));
        }
    }

    private void End(Query query, Outcome outcome)
    {
        _queries.Remove(query.Call);
        context.Effects.Completed(query.Call, outcome);
    }

    public void OnListReply(ref WireReader reader)
    {
        long call = reader.Varint();
        bool isLast = reader.Flag();
        var names = new string[reader.Count()];
        for (int i = 0; i < names.Length; i++) names[i] = reader.Text();
        if (!_queries.TryGetValue(call, out Query? query) || query.Kind != QueryKind.List) return;
        query.Names.AddRange(names);
        if (!isLast) return;
        _queries.Remove(call);
        context.Effects.GroupsListed(call, [.. query.Names]);
    }

    /// <summary>A member tells that the group is deleted; or that it is no member (any more), and another is to be asked.</summary>
    public void OnDeleteReply(ref WireReader reader)
    {
        GroupId group = reader.Group();
        bool isDone = reader.Flag();
        foreach (Query query in _queries.Values.Where(q => q.Kind == QueryKind.Delete && q.Group == group).ToArray())
        {
            if (isDone) End(query, Outcome.Done);
            else query.RetryAt = context.Now + RetryDelay;
        }
    }

    public void OnInstalled()
    {
        foreach (Query query in _queries.Values.ToArray()) Ask(query);
    }

    public void Tick()
    {
        if (_queries.Count == 0 || !context.IsWorking) return;
        foreach (Query query in _queries.Values.Where(q => q.RetryAt <= context.Now).ToArray()) Ask(query);
    }

    public TimeSpan Deadline()
    {
        TimeSpan deadline = TimeSpan.MaxValue;
        if (_queries.Count == 0 || !context.IsWorking) return deadline;
        foreach (Query query in _queries.Values)
        {
            if (query.RetryAt is { } at && at < deadline) deadline = at;
        }
        return deadline;
    }

    // ---- the member's side

    public void OnDelete(NodeId from, ref WireReader reader)
    {
        GroupId id = reader.Group();
        if (groups.Find(id) is not { IsLeaving: false } group)
        {
            Reply(from, id, isDone: false);
            return;
        }
        (group.Deleters ??= []).Add(from);
        groups.Announcer.LookAgain(group);
    }

    /// <summary>This node's membership has ended: who asked it to delete the group is told.</summary>
    public void OnEnded(GroupMember group)
    {
        foreach (NodeId from in group.Deleters ?? []) Reply(from, group.Id, group.WasDeleted);
    }

    private void Reply(NodeId to, GroupId group, bool isDone) => services.Send(to, ServiceRecord.DeleteReply, writer =>
    {
        writer.Group(group);
        writer.Flag(isDone);
    });
}

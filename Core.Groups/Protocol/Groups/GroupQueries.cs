// What the application asks of groups that it need not be a member of: look-up, list, delete.
// Keeps: each question ends once; what a configuration change has cut off is asked again. A delete names the group by its id from its
// first answer on: another group that is made under the name meanwhile is left alone.
// Follows: protocol.md section 7.
using System.Collections.Immutable;
using Core.Groups.Wire;

namespace Core.Groups.Protocol.Groups;

internal sealed class GroupQueries(NodeContext context, Services services, GroupService groups)
    : Questions<long, GroupQueries.Query>(context)
{
    internal enum QueryKind { Find, List, Delete }

    internal sealed class Query(long call, QueryKind kind, string text) : Question(call)
    {
        public QueryKind Kind => kind;
        /// <summary>A name, an id, or the beginning of names.</summary>
        public string Text { get; set; } = text;
        /// <summary>The group that a member was asked to delete.</summary>
        public GroupId Group { get; set; }
        public List<string> Names { get; } = [];
    }

    /// <summary>Told how the questions of clients ended, in place of the host.</summary>
    public Action<long, Outcome, GroupInfo?, ImmutableArray<string>> OnClientQuery { get; set; } = static (_, _, _, _) => { };

    public void Find(long call, string address) => Begin(call, new Query(call, QueryKind.Find, address));

    public void List(long call, string prefix) => Begin(call, new Query(call, QueryKind.List, prefix));

    public void Delete(long call, string address) => Begin(call, new Query(call, QueryKind.Delete, address));

    /// <summary>True: the question had not ended. A delete that a member was asked for goes on.</summary>
    public bool Cancel(long call) => Open.Remove(call);

    protected override void Ask(Query query)
    {
        query.Names.Clear();
        if (query.Kind != QueryKind.List)
        {
            groups.Directory.LookUp(query.Text, GroupId.None, entry => Answered(query, entry));
            return;
        }
        services.Send(Context.NodeAt(0), ServiceRecord.List, writer =>
        {
            writer.Varint(query.Call);
            writer.Text(query.Text);
        });
    }

    private void Answered(Query query, RegistryEntry? entry)
    {
        if (!Open.ContainsKey(query.Call)) return;
        if (query.Kind == QueryKind.Find)
        {
            Open.Remove(query.Call);
            GroupInfo? group = entry is null ? null : new GroupInfo(entry.Id, entry.Name, entry.Number, entry.Members);
            if (IsOfClient(query)) OnClientQuery(query.Call, Outcome.Done, group, []);
            else Context.Effects.GroupFound(query.Call, group);
        }
        else if (entry is null)
        {
            End(query, query.Group == GroupId.None ? Outcome.NoSuchGroup : Outcome.Done);
        }
        else
        {
            query.Group = entry.Id;
            query.Text = entry.Id.ToString();
            NodeId member = entry.Members.Contains(Context.Self) ? Context.Self : entry.Members.FirstOrDefault(m => Context.RankOf(m) >= 0);
            if (member.Name is null) AskLater(query);
            else services.Send(member, ServiceRecord.Delete, writer => writer.Group(entry.Id));
        }
    }

    private void End(Query query, Outcome outcome)
    {
        Open.Remove(query.Call);
        if (IsOfClient(query)) OnClientQuery(query.Call, outcome, null, []);
        else Context.Effects.Completed(query.Call, outcome);
    }

    private static bool IsOfClient(Query query) => query.Call >= Clients.ClientSessions.FirstCall;

    /// <summary>Gives all of them up; returns the calls of this node's application.</summary>
    public IEnumerable<long> EndCalls() => EndAll().Where(static c => c < Clients.ClientSessions.FirstCall);

    public void OnListReply(ref WireReader reader)
    {
        long call = reader.Varint();
        bool isLast = reader.Flag();
        var names = new string[reader.Count()];
        for (int i = 0; i < names.Length; i++) names[i] = reader.Text();
        if (!Open.TryGetValue(call, out Query? query) || query.Kind != QueryKind.List) return;
        query.Names.AddRange(names);
        if (!isLast) return;
        Open.Remove(call);
        if (IsOfClient(query)) OnClientQuery(call, Outcome.Done, null, [.. query.Names]);
        else Context.Effects.GroupsListed(call, [.. query.Names]);
    }

    /// <summary>A member tells that the group is deleted; or that it is no member (any more), and another is to be asked.</summary>
    public void OnDeleteReply(ref WireReader reader)
    {
        GroupId group = reader.Group();
        bool isDone = reader.Flag();
        foreach (Query query in Open.Values.Where(q => q.Kind == QueryKind.Delete && q.Group == group).ToArray())
        {
            if (isDone) Ask(query);      // the registry may hear of it later than this node: it ends when nobody finds the group any more
            else AskLater(query);
        }
    }

    public void OnInstalled() => AskAll();

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

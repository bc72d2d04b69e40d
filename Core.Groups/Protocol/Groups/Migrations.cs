// Members that move to another node: one joins and one leaves in one view, by one GBCAST of the one that leaves. Both sides are here.
// Keeps: a move that does not come to its view changes nothing: the member stays, and the target is no member. A member with whom
// the group's only state would go stands still, and hands the state over first.
// Follows: "Exploiting virtual synchrony", table 1 (pgmigrate) and section 3.2 (to callers, migration is instantaneous).
using Core.Groups.Wire;

namespace Core.Groups.Protocol.Groups;

/// <summary>A member's move to another node.</summary>
internal sealed class Migration(long call, GroupId group, NodeId to) : Question(call)
{
    public GroupId Group => group;
    public NodeId To => to;
    /// <summary>The target has agreed, and was let in.</summary>
    public bool IsWelcome { get; set; }
    /// <summary>Nobody else has the group's state: it goes to the target before the view, and the group stands still meanwhile.</summary>
    public bool IsHalted { get; set; }
    /// <summary>The target has that state.</summary>
    public bool IsReady { get; set; }
    /// <summary>Nobody waits for its end.</summary>
    public bool IsForgotten { get; set; }
}

internal sealed class Migrations(NodeContext context, Services services, GroupService groups) : Questions<GroupId, Migration>(context)
{
    private readonly SortedDictionary<long, Offer> _offers = [];
    private long _lastOffer;

    /// <summary>What this node's application was asked: a member of the group would move here.</summary>
    private readonly record struct Offer(GroupId Group, string Name, NodeId From);

    // ---- the member that moves

    /// <summary>Ends with <see cref="INodeEffects.MigrationEnded"/>.</summary>
    public void Begin(long call, GroupMember group, NodeId to)
    {
        string? refusal = this switch
        {
            _ when group.Migration is not null => "the member is on its way to another node already",
            _ when group.IsLeaving || !group.IsLoaded => "the node is not a member that has the group's state",
            _ when group.View.Contains(to) => $"{to.Name} is a member already",
            _ => null,
        };
        if (refusal is not null)
        {
            Context.Effects.MigrationEnded(call, null, refusal);
            return;
        }
        group.Migration = new Migration(call, group.Id, to);
        Begin(group.Id, group.Migration);
    }

    protected override void Ask(Migration migration)
    {
        if (groups.Find(migration.Group) is not { } group) return;      // its end has been told
        if (Context.RankOf(migration.To) < 0) Fail(group, $"{migration.To.Name} is not, or no longer, in the configuration");
        else
        {
            services.Send(migration.To, ServiceRecord.Migrate, writer =>
            {
                writer.Group(group.Id);
                writer.Text(group.Name);
            });
        }
    }

    /// <summary>The target wants in. False: nobody moves there.</summary>
    public bool IsWanted(GroupMember group, NodeId joiner) => group.Migration?.To == joiner;

    public void Admit(GroupMember group)
    {
        group.Migration!.IsWelcome = true;
        groups.Announcer.LookAgain(group);
    }

    /// <summary>The target does not take the member, or this member's application does not let it in.</summary>
    public void OnRefused(NodeId from, ref WireReader reader)
    {
        GroupId id = reader.Group();
        string reason = reader.Text();
        if (groups.Find(id) is { Migration: { } migration } group && migration.To == from) Fail(group, reason);
    }

    /// <summary>The target has the state that would have gone with this member.</summary>
    public void OnReady(NodeId from, ref WireReader reader)
    {
        if (groups.Find(reader.Group()) is not { Migration: { IsHalted: true } migration } group || migration.To != from) return;
        migration.IsReady = true;
        groups.Announcer.LookAgain(group);
    }

    /// <summary>It comes to nothing: the member stays.</summary>
    public void Fail(GroupMember group, string reason)
    {
        if (group.Migration is not { } migration) return;
        if (migration.IsWelcome) groups.Directory.RefuseMigrant(migration.To, group.Name, reason);
        groups.States.ForgetMigrant(group);
        Close(group, migration);
        if (!migration.IsForgotten) Context.Effects.MigrationEnded(migration.Call, null, reason);
        groups.Announcer.LookAgain(group);
    }

    /// <summary>The application gives a move up. True: it was under way. What is announced may still happen.</summary>
    public bool Cancel(long call)
    {
        if (Open.Values.FirstOrDefault(m => m.Call == call) is not { IsForgotten: false } migration || groups.Find(migration.Group) is not { } group) return false;
        migration.IsForgotten = true;
        if (!group.IsAnnounced) Fail(group, "it was withdrawn");
        return true;
    }

    /// <summary>Gives all of them up; returns the calls that somebody waits for.</summary>
    public IEnumerable<long> EndCalls()
    {
        long[] calls = [.. Open.Values.Where(m => !m.IsForgotten).Select(m => m.Call)];
        EndAll();
        return calls;
    }

    /// <summary>This node's membership has ended, by its move or otherwise.</summary>
    /// <param name="moved">The group after it.</param>
    public void OnEnded(GroupMember group, GroupInfo? moved)
    {
        if (group.Migration is not { } migration) return;
        Close(group, migration);
        const string Otherwise = "the membership has ended otherwise: the node left, or the group was deleted";
        bool hasMoved = moved?.Members.Contains(migration.To) == true;
        if (!hasMoved) groups.Directory.RefuseMigrant(migration.To, group.Name, Otherwise);      // it may wait to be let in
        if (migration.IsForgotten) return;
        if (hasMoved) Context.Effects.MigrationEnded(migration.Call, moved, null);
        else Context.Effects.MigrationEnded(migration.Call, null, Otherwise);
    }

    private void Close(GroupMember group, Migration migration)
    {
        Open.Remove(migration.Group);
        group.Migration = null;
    }

    /// <summary>A group has another id from now on.</summary>
    public void Rename(GroupId before)
    {
        if (Open.Remove(before, out Migration? migration) && !migration.IsForgotten) Context.Effects.MigrationEnded(migration.Call, null, "the group was merged meanwhile");
    }

    // ---- the target

    public void OnAsked(NodeId from, ref WireReader reader)
    {
        GroupId id = reader.Group();
        string name = reader.Text();
        if (groups.Directory.IsMigrating(name, from) || _offers.Values.Any(o => o.Group == id && o.From == from)) return;      // asked again
        bool isElsewhere = GroupName.SiteOf(name) is { } site && site != Context.Settings.Site;
        if (groups.Find(id) is not null || groups.Directory.IsJoining(name)) Refuse(from, id, "the target is a member already, or is joining");
        else if (isElsewhere) Refuse(from, id, "the group resides at another site than the target");
        else
        {
            _offers.Add(++_lastOffer, new Offer(id, name, from));
            Context.Effects.MigrationOffered(_lastOffer, id, name, from);
        }
    }

    private void Refuse(NodeId member, GroupId group, string reason) => services.Send(member, ServiceRecord.MigrateRefused, writer =>
    {
        writer.Group(group);
        writer.Text(reason);
    });

    /// <summary>The application takes the member, by this join.</summary>
    public void Accept(long token, long call, ReadOnlyMemory<byte> credentials, bool inspects)
    {
        bool isThere = _offers.Remove(token, out Offer offer) && Context.RankOf(offer.From) >= 0;
        if (!isThere || groups.Find(offer.Name) is not null || groups.Directory.IsJoining(offer.Name)) Context.Effects.Completed(call, Outcome.NoSuchGroup);
        else groups.Directory.Begin(new Directory.Join(call, offer.Name, GroupId.None, offer.Group, credentials, inspects) { Migrant = offer.From });
    }

    public void Decline(long token, string reason)
    {
        if (_offers.Remove(token, out Offer offer) && Context.IsWorking) Refuse(offer.From, offer.Group, reason);
    }

    /// <summary>The join of a move was given up here.</summary>
    public void OnGivenUp(Directory.Join join)
    {
        if (join.Migrant is { } from && Context.IsWorking) Refuse(from, join.Expected, "the target has given it up");
    }

    /// <summary>The state of a group is here before its view, which the member waits for.</summary>
    public void OnStateHere(GroupId group)
    {
        if (groups.Directory.MigrantOf(group) is { } from) services.Send(from, ServiceRecord.MigrateReady, writer => writer.Group(group));
    }

    // ---- configurations

    public void OnInstalled()
    {
        foreach (long gone in _offers.Where(o => Context.RankOf(o.Value.From) < 0).Select(o => o.Key).ToArray()) _offers.Remove(gone);
        AskAll();
    }
}

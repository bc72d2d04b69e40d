// Watching groups from outside: a member tells of every change of its view, and the last ones are remembered for those that missed them.
// Keeps: all that watch a group see the same changes in the order of the views, each once; a watch ends once.
// Follows: protocol.md section 7 (watch). Members remember the last changes only: who was cut off for longer sees the difference.
using System.Collections.Immutable;
using Core.Groups.Wire;

namespace Core.Groups.Protocol.Groups;

/// <summary>One change of a group's membership, as those that watch it are told.</summary>
/// <param name="Number">The number of the view that it led to.</param>
/// <param name="Failed">Those that a configuration left out; the others in <paramref name="Left"/> went by themselves.</param>
internal readonly record struct ViewChange(long Number, ImmutableArray<NodeId> Joined, ImmutableArray<NodeId> Left, ImmutableArray<NodeId> Failed)
{
    public void Write(WireWriter writer)
    {
        writer.Varint(Number);
        Services.WriteNodes(writer, Joined);
        Services.WriteNodes(writer, Left);
        Services.WriteNodes(writer, Failed);
    }

    public static ViewChange Read(ref WireReader reader) =>
        new(reader.Varint(), Services.ReadNodes(ref reader), Services.ReadNodes(ref reader), Services.ReadNodes(ref reader));
}

internal sealed class GroupWatches(NodeContext context, Services services, GroupService groups)
    : Questions<long, GroupWatches.Watch>(context)
{
    /// <summary>How many changes a member remembers.</summary>
    private const int Remembered = 8;

    internal sealed class Watch(long call, string address) : Question(call)
    {
        /// <summary>A name, then the id of the group that it led to.</summary>
        public string Address { get; set; } = address;
        public GroupId Group { get; set; }
        /// <summary>The view up to which changes were told; its members. 0: nothing is known yet.</summary>
        public long Number { get; set; }
        public ImmutableArray<NodeId> Members { get; set; } = [];
        /// <summary>Those that do not remember what followed on <see cref="Number"/>.</summary>
        public List<NodeId> Forgetful { get; } = [];
    }

    // ---- the watcher

    public void Begin(long call, string address) => Begin(call, new Watch(call, address));

    public bool Cancel(long call) => Open.Remove(call);

    protected override void Ask(Watch watch)
    {
        groups.Directory.LookUp(watch.Address, GroupId.None, entry => Answered(watch, entry));
    }

    private void Answered(Watch watch, RegistryEntry? entry)
    {
        if (!Open.ContainsKey(watch.Call)) return;
        if (entry is null)
        {
            OnOver(watch, isDeleted: false);
            return;
        }
        watch.Group = entry.Id;
        watch.Address = entry.Id.ToString();
        NodeId contact = entry.Members.FirstOrDefault(m => Context.RankOf(m) >= 0);      // the oldest remembers most
        if (contact.Name is null) AskLater(watch);
        else AskMember(watch, contact);
    }

    private void AskMember(Watch watch, NodeId member) => services.Send(member, ServiceRecord.Watch, writer =>
    {
        writer.Group(watch.Group);
        writer.Varint(watch.Number);
    });

    /// <summary>A member tells where its view stands, and the changes that led there from an earlier one, as far as it remembers them.</summary>
    public void OnTold(NodeId from, ref WireReader reader)
    {
        GroupId id = reader.Group();
        bool isMember = reader.Flag(), isDeleted = reader.Flag();
        long since = reader.Varint(), number = reader.Varint();
        ImmutableArray<NodeId> members = Services.ReadNodes(ref reader);
        var changes = new ViewChange[reader.Count(4)];
        for (int i = 0; i < changes.Length; i++) changes[i] = ViewChange.Read(ref reader);
        foreach (Watch watch in Open.Values.Where(w => w.Group == id).ToArray())
        {
            if (isDeleted) OnOver(watch, isDeleted: true);
            else if (!isMember) AskLater(watch);
            else Follow(watch, from, since, number, members, changes);
        }
    }

    private void Follow(Watch watch, NodeId from, long since, long number, ImmutableArray<NodeId> members, ViewChange[] changes)
    {
        if (watch.Number == 0)
        {
            (watch.Number, watch.Members) = (number, members);
            Context.Effects.WatchBegun(watch.Call);
            return;
        }
        if (watch.Number < since)
        {
            Ask(watch);      // what was told is for one that knows more, or for one that begins: this one is told what it has missed
            return;
        }
        if (watch.Number < number && !Array.Exists(changes, c => c.Number == watch.Number + 1))
        {
            watch.Forgetful.Add(from);      // it joined later, or again
            NodeId other = members.FirstOrDefault(m => Context.RankOf(m) >= 0 && !watch.Forgetful.Contains(m));
            if (other.Name is not null)
            {
                AskMember(watch, other);
                return;
            }
        }
        watch.Forgetful.Clear();
        foreach (ViewChange change in changes)
        {
            if (change.Number != watch.Number + 1) continue;
            watch.Number = change.Number;
            Context.Effects.WatchedChange(watch.Call, watch.Group, change);
        }
        if (watch.Number < number)
        {
            ImmutableArray<NodeId> before = watch.Members;
            Context.Effects.WatchedChange(watch.Call, watch.Group, new ViewChange(number, [.. members.Where(m => !before.Contains(m))], [], [.. before.Where(m => !members.Contains(m))]));
            watch.Number = number;
        }
        if (watch.Number == number) watch.Members = members;
    }

    private void OnOver(Watch watch, bool isDeleted)
    {
        Open.Remove(watch.Call);
        bool wasThere = watch.Number > 0;
        // Of a group that is gone its last members may not have been heard: those that are still there have left it.
        ILookup<bool, NodeId> left = watch.Members.ToLookup(m => isDeleted || Context.RankOf(m) >= 0);
        if (wasThere) Context.Effects.WatchedChange(watch.Call, GroupId.None, new ViewChange(watch.Number + 1, [], [.. left[true]], [.. left[false]]));
        Context.Effects.Completed(watch.Call, wasThere ? Outcome.Done : Outcome.NoSuchGroup);
    }

    public void OnInstalled() => AskAll();

    // ---- the member

    public void OnWatch(NodeId from, ref WireReader reader)
    {
        GroupId id = reader.Group();
        long number = reader.Varint();
        GroupMember? group = groups.Find(id);
        if (group is not null) (group.Watchers ??= []).Add(from);
        Tell(from, id, group, isDeleted: false, number);
    }

    /// <summary>A new view of a group: it is remembered, and told at once (in a configuration change they ask afterwards).</summary>
    /// <param name="areFailed">Those that are missing were left out by a configuration.</param>
    public void OnView(GroupMember group, bool areFailed, bool isFrozen)
    {
        View view = group.View;
        var change = new ViewChange(view.Number, view.Joined, areFailed ? [] : view.Left, areFailed ? view.Left : []);
        group.Changes = [.. group.Changes.TakeLast(Remembered - 1), change];
        if (isFrozen || group.Watchers is null) return;
        foreach (NodeId watcher in group.Watchers) Tell(watcher, group.Id, group, isDeleted: false, since: view.Number - 1);
    }

    /// <summary>This node's membership has ended: who watched it asks another member, if there is one.</summary>
    public void OnEnded(GroupMember group)
    {
        foreach (NodeId watcher in group.Watchers ?? []) Tell(watcher, group.Id, null, group.WasDeleted, 0);
    }

    /// <param name="since">The view that the watcher knows; 0: it begins, with the present one.</param>
    private void Tell(NodeId watcher, GroupId id, GroupMember? group, bool isDeleted, long since) => services.Send(watcher, ServiceRecord.WatchTold, writer =>
    {
        writer.Group(id);
        writer.Flag(group is not null);
        writer.Flag(isDeleted);
        long number = group?.View.Number ?? 0, from = since == 0 ? number : since;
        writer.Varint(from);
        writer.Varint(number);
        Services.WriteNodes(writer, group?.View.Members ?? []);
        ViewChange[] changes = group is null ? [] : [.. group.Changes.Where(c => c.Number > from)];
        writer.Varint(changes.Length);
        foreach (ViewChange change in changes) change.Write(writer);
    });
}

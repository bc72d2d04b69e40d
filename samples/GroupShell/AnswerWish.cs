// How a member answers requests, as its client asked for at the join: itself, with copies to groups, or by passing them on.
using Core.Groups;

namespace GroupShell;

/// <summary>The fields `copies`, `pass-on` and `pass-to` of a join.</summary>
/// <param name="Copies">Groups of this node that get a copy of each answer.</param>
/// <param name="PassOn">A group of this node that answers in this member's place.</param>
/// <param name="PassTo">Of those its members the one that does; null: whoever is first.</param>
internal sealed record AnswerWish(string[] Copies, string? PassOn, string? PassTo)
{
    public static AnswerWish Of(CommandFields command) => new(
        command.Names("copies"), command.Has("pass-on") ? command.Name("pass-on") : null, command.Has("pass-to") ? command.Name("pass-to") : null);

    public void Apply(GroupMessage request, GroupLanes lanes)
    {
        if (request.PassedOnBy is not null)
            return; // once is enough: members that pass on to each other would never end
        if (PassOn is { } group)
            request.PassOn(GroupOf(group, lanes), PassTo is { } name ? GroupOf(group, lanes).View.Members.FirstOrDefault(m => m.Name == name) : null);
        if (Copies.Length > 0)
            request.CopyAnswer([.. Copies.Select(g => GroupOf(g, lanes))]);
    }

    private static ProcessGroup GroupOf(string name, GroupLanes lanes) => lanes.Find(name)?.Group ?? throw new NotMemberException(name);
}

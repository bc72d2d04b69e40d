// A member of a group would move to this node: what the protocol offers, and how the application takes it or not.
namespace Core.Groups.Hosting;

/// <summary>An offer of the protocol.</summary>
internal sealed record MigrationOffer(long Token, GroupId Group, string Name, NodeId From, int Generation)
{
    /// <summary>On the thread pool: the application says whether it takes the member, and how.</summary>
    public void Answer(GroupNode node)
    {
        string reason = "the target takes no member of this group: set GroupNodeOptions.OnMigration there";
        try
        {
            GroupOptions? options = node.Host.Options.OnMigration?.Invoke(Name);
            options?.Validate(Name, node.Host.Options.Mode);
            if (options is { Journal: null })
            {
                var group = new ProcessGroup(node, Name, options, Group);
                options.Configure?.Invoke(group);
                _ = node.Host.AcceptAsync(group.Membership, this);
                return;
            }

            if (options is not null)
            {
                reason = "the target would log the group, and a log cannot move: give no journal in GroupNodeOptions.OnMigration";
            }
        }
        catch (Exception e)
        {
            HostLog.CallbackFailed(node.Host.Logger, e, nameof(GroupNodeOptions.OnMigration), Name);
            reason = "its callback at the target failed; see the log there";
        }

        node.Host.Loop.Post(new NodeInput { Kind = InputKind.DeclineMigration, Token = Token, Subject = reason, Generation = Generation });
    }
}

/// <summary>Marks the mail that asks for a state as a whole.</summary>
internal sealed class WholeState
{
    public static readonly WholeState Wanted = new();
}

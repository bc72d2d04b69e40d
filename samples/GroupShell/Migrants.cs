// Members of groups that move to this node: which of them the shell takes, once it runs.
using Core.Groups;

namespace GroupShell;

/// <summary>Given to the node's options before there is a shell.</summary>
internal sealed class Migrants
{
    /// <summary>How this shell takes a member of a group; null as long as there is no shell.</summary>
    public volatile Func<string, GroupOptions?>? Take;

    public GroupOptions? OptionsOf(string group) => Take?.Invoke(group);
}

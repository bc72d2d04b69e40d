using Core.Groups.Protocol;

namespace Core.Groups.Hosting;

internal static class ReplyModes
{
    /// <summary>The protocol's word for a number of replies.</summary>
    public static ReplyMode ToMode(this Replies replies) => replies.Kind switch
    {
        Replies.ReplyKind.None => ReplyMode.None,
        Replies.ReplyKind.First => ReplyMode.First,
        Replies.ReplyKind.Count => ReplyMode.Count,
        Replies.ReplyKind.Majority => ReplyMode.Majority,
        _ => ReplyMode.All,
    };
}

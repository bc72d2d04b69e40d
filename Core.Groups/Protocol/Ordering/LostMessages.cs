// Which messages can never be delivered in a recovery plan: of a stream, what follows a message that nobody has; what depends on
// such a message; and what keeps a GBCAST open for ever.
// Keeps: no gap in a causal chain (invariant 3), all the same at all members that go together.
// Follows: protocol.md section 5, step 5 (c); EVS 3.1.
namespace Core.Groups.Protocol.Ordering;

internal static class LostMessages
{
    /// <param name="alive">All that are here and not delivered; those that are lost are taken out.</param>
    public static HashSet<Message> Find(HashSet<Message> alive, DeliveryEngine engine, SenderLog[] logs)
    {
        var lost = new HashSet<Message>();
        int before;
        do
        {
            before = lost.Count;
            var places = new HashSet<(StreamProgress, long)>();
            foreach (Message message in alive)
            {
                if (message.Kind.IsApplication()) places.Add((engine.ProgressOf(message), message.StreamIndex));
            }
            foreach (Message message in alive)
            {
                if (message.Kind.IsApplication() && (LacksPredecessor(message, places, engine) || LacksDependency(message, alive, engine, logs))) lost.Add(message);
            }
            alive.ExceptWith(lost);
        }
        while (lost.Count > before);
        return lost;
    }

    public static bool HoldsUp(Message message, GroupOrder group)
    {
        if (group.Announcement is null || JointChanges.Concerns(message)) return false;
        if (message.Destination.Spread is { } spread) return spread.Concerns(group.Id, group.Epoch);
        return message.Destination.Group == group.Id && message.Destination.Epoch == group.Epoch
            && message.Kind < MessageKind.Marker && message.Kind != MessageKind.Group;
    }

    private static bool LacksPredecessor(Message message, HashSet<(StreamProgress, long)> places, DeliveryEngine engine)
    {
        StreamProgress stream = engine.ProgressOf(message);
        return message.StreamIndex > stream.LastDone + 1 && !places.Contains((stream, message.StreamIndex - 1));
    }

    private static bool LacksDependency(Message message, HashSet<Message> alive, DeliveryEngine engine, SenderLog[] logs)
    {
        if (!message.Kind.IsCausal()) return false;
        foreach (Dependency dependency in message.Dependencies)
        {
            if (!engine.IsDone(dependency) && !(logs[dependency.Sender].Find(dependency.Sequence) is { } found && alive.Contains(found))) return true;
        }
        return false;
    }
}

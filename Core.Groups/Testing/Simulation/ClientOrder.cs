// What members must agree on about the calls of clients: each in one view, and a client's calls in its order.
namespace Core.Groups.Testing.Simulation;

/// <summary>Watches the deliveries of clients' calls in one run.</summary>
internal sealed class ClientOrder(Action<string> violate)
{
    private readonly Dictionary<(ulong Marker, GroupId Group), (View View, NodeId At)> views = [];
    private readonly Dictionary<(GroupReplica Replica, string Client, int Class), SentMessage> last = [];

    /// <param name="at">Who delivers.</param>
    public void OnDelivered(NodeId at, GroupReplica replica, SentMessage message)
    {
        View view = replica.View!;
        if (!views.TryAdd((message.Marker, replica.Id), (view, at)) && views[(message.Marker, replica.Id)] is var first && first.View.Number != view.Number)
        {
            // Who was gone before the other view may have delivered what the others never got, before it was sent again.
            bool wentAlong = view.Number > first.View.Number ? view.Contains(first.At) : first.View.Contains(at);
            if (wentAlong) violate($"{at} delivered {message} in view {view.Number} of {message.Group}, {first.At} in view {first.View.Number}.");
        }
        // A client's reliable messages may overtake each other; and those of one kind its messages of another.
        if (message.Order == Order.Reliable) return;
        var key = (replica, message.Sender.Name, ClassOf(message.Order));
        if (last.TryGetValue(key, out SentMessage? before) && before.Marker > message.Marker)
            violate($"{at} delivered {message} after {before}, which its client sent later.");
        last[key] = message;
    }

    private static int ClassOf(Order order) => order switch
    {
        Order.Fifo => 0,
        Order.Causal => 1,
        Order.Group => 3,
        _ => 2,
    };
}

// For tests of the judges: a replica that keeps no order.
using Core.Groups;
using Core.Groups.Replication;

namespace Toolkit.Tests.Replication;

/// <summary>Carries out what others send one message too late.</summary>
/// <param name="deliver">The replica's own way.</param>
internal sealed class OneLate(OneLate.Delivery deliver)
{
    private (NodeId From, Order Order, ReadOnlyMemory<byte> Body)? _late;

    internal delegate void Delivery(in ReplicaMessage message);

    public void OnMessage(in ReplicaMessage message, NodeId self)
    {
        if (message.From == self)
        {
            deliver(message);
            return;
        }

        CarryOut();
        _late = (message.From, message.Order, message.Body);
    }

    /// <summary>Nothing may wait longer: a view comes.</summary>
    public void CarryOut()
    {
        if (_late is not var (from, order, body))
            return;
        _late = null;
        deliver(new ReplicaMessage { From = from, Order = order, Body = body });
    }
}

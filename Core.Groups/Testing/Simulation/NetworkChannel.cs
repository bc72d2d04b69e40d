// What is on its way from one node to another: frames, and news of the connections that carry them.
// Keeps: first in, first out, over all connections of the pair; what a cut holds back comes after the heal.
using Core.Groups.Protocol;

namespace Core.Groups.Testing.Simulation;

/// <summary>One direction between two nodes.</summary>
internal sealed class NetworkChannel(VirtualTime time, SimulationRandom random, NetworkProfile profile, Func<INetworkEndpoint?> receiver)
{
    private enum Kind : byte { Connected, Frame, Disconnected }

    private readonly record struct Item(Kind Kind, int Connection, TimeSpan At, ReadOnlyMemory<byte> Frame, PeerIdentity? Peer);

    private readonly List<Item> items = [];
    private int head;
    private bool armed;
    private TimeSpan last;

    /// <summary>Whether nothing passes in this direction.</summary>
    public bool IsCut { get; private set; }

    public void Connect(int connection, PeerIdentity peer) => Add(new(Kind.Connected, connection, Arrival(0), default, peer));

    public void Send(int connection, ReadOnlySpan<byte> frame) =>
        Add(new(Kind.Frame, connection, Arrival(frame.Length), frame.ToArray(), null));

    public void Disconnect(int connection) => Add(new(Kind.Disconnected, connection, Arrival(0), default, null));

    /// <summary>Loses a random suffix of the frames of a connection that are on their way. It must be the newest.</summary>
    public void LoseSuffix(int connection)
    {
        int first = items.Count;
        while (first > head && items[first - 1].Connection == connection && items[first - 1].Kind == Kind.Frame) first--;
        int kept = random.Between(first, items.Count);
        items.RemoveRange(kept, items.Count - kept);
    }

    /// <summary>Nobody is there any more to receive anything.</summary>
    public void Clear()
    {
        items.Clear();
        head = 0;
    }

    public void Cut() => IsCut = true;

    public void Heal()
    {
        if (!IsCut) return;
        IsCut = false;
        Arm();
    }

    private TimeSpan Arrival(int bytes)
    {
        TimeSpan at = time.Now + profile.Draw(random, bytes);
        return last = at > last ? at : last;
    }

    private void Add(Item item)
    {
        items.Add(item);
        Arm();
    }

    private void Arm()
    {
        if (armed || IsCut || head == items.Count) return;
        armed = true;
        time.At(items[head].At, Arrive);
    }

    private void Arrive()
    {
        armed = false;
        while (!IsCut && head < items.Count && items[head].At <= time.Now)
        {
            Item item = items[head];
            items[head++] = default;
            if (head == items.Count) Clear();
            HandOver(item);
        }
        Arm();
    }

    private void HandOver(in Item item)
    {
        if (receiver() is not { } endpoint) return;
        switch (item.Kind)
        {
            case Kind.Connected: endpoint.Connected(item.Connection, item.Peer!); break;
            case Kind.Disconnected: endpoint.Disconnected(item.Connection); break;
            default: endpoint.Received(item.Connection, item.Frame); break;
        }
    }
}

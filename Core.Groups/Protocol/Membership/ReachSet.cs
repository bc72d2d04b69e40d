// Whom a node reaches, itself included, with their addresses: made rarely, asked all the time, and mostly the same for all nodes.
using System.Collections.Immutable;
using Core.Groups.Wire;

namespace Core.Groups.Protocol.Membership;

/// <summary>An immutable set of nodes with their addresses, in the order of the nodes.</summary>
internal sealed class ReachSet
{
    public static readonly ReachSet Empty = new([]);

    private readonly ImmutableArray<(NodeId Node, string Address)> _nodes;
    private readonly Dictionary<NodeId, string> _addresses;

    /// <param name="nodes">In rising order.</param>
    public ReachSet(ImmutableArray<(NodeId Node, string Address)> nodes)
    {
        _nodes = nodes;
        _addresses = nodes.ToDictionary(static n => n.Node, static n => n.Address);
    }

    public int Count => _nodes.Length;

    public IEnumerable<NodeId> Nodes => _nodes.Select(static n => n.Node);

    public string this[NodeId node] => _addresses[node];

    public bool Contains(NodeId node) => _addresses.ContainsKey(node);

    public bool HasAddress(string address) => _nodes.Any(n => n.Address == address);

    public bool IsSame(ReadOnlySpan<(NodeId Node, string Address)> nodes) => _nodes.AsSpan().SequenceEqual(nodes);

    public bool IsSame(ReachSet other) => ReferenceEquals(this, other) || IsSame(other._nodes.AsSpan());

    public ImmutableArray<(NodeId Node, string Address)>.Enumerator GetEnumerator() => _nodes.GetEnumerator();

    public void Write(WireWriter writer)
    {
        writer.Varint(_nodes.Length);
        foreach ((NodeId node, string address) in _nodes)
        {
            writer.Node(node);
            writer.Text(address);
        }
    }

    public static ReachSet Read(ref WireReader reader)
    {
        var nodes = ImmutableArray.CreateBuilder<(NodeId Node, string Address)>(reader.Count(3));
        for (int left = nodes.Capacity; left > 0; left--)
        {
            nodes.Add((reader.Node(), reader.Text()));
            if (nodes.Count > 1 && nodes[^1].Node <= nodes[^2].Node) throw new WireFormatException("The nodes that a node reaches are not in their order.");
        }
        return new ReachSet(nodes.MoveToImmutable());
    }
}

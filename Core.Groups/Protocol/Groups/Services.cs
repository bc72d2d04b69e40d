// Sends service records to members of the present configuration, this node included, and reads them back.
using System.Collections.Immutable;
using Core.Groups.Protocol.Links;
using Core.Groups.Wire;

namespace Core.Groups.Protocol.Groups;

internal delegate void ServiceHandler(NodeId from, ServiceRecord kind, ref WireReader reader);

internal sealed class Services(NodeContext context, ChannelTable channels)
{
    private readonly Queue<(ServiceRecord Kind, byte[] Body)> _local = new();
    private readonly WireWriter _body = new();

    public ServiceHandler Handler { get; set; } = null!;

    /// <summary>Writes a record for a member. To this node itself it is handed over at the end of the turn.</summary>
    public void Send(NodeId to, ServiceRecord kind, Action<WireWriter> body)
    {
        _body.Reset();
        body(_body);
        if (to == context.Self)
        {
            _local.Enqueue((kind, _body.ToArray()));
            return;
        }
        if (channels.Find(to) is not { Rank: >= 0 } channel) return;
        WireWriter writer = channels.Data(channel);
        writer.Byte((byte)kind);
        writer.Blob(_body.Written);
    }

    /// <summary>Hands a received record over.</summary>
    public void Receive(NodeId from, ServiceRecord kind, ReadOnlyMemory<byte> body)
    {
        var reader = new WireReader(body);
        Handler(from, kind, ref reader);
    }

    /// <summary>True: there were records of this node to itself.</summary>
    public bool RunLocal()
    {
        bool any = false;
        while (_local.TryDequeue(out var record))
        {
            any = true;
            Receive(context.Self, record.Kind, record.Body);
        }
        _local.LetGo();
        return any;
    }

    public bool HasLocal => _local.Count > 0;

    public void Clear() => _local.Clear();

    public static void WriteNodes(WireWriter writer, ImmutableArray<NodeId> nodes)
    {
        writer.Varint(nodes.Length);
        foreach (NodeId node in nodes) writer.Node(node);
    }

    public static void WriteGroups(WireWriter writer, ImmutableArray<GroupId> groups)
    {
        writer.Varint(groups.Length);
        foreach (GroupId group in groups) writer.Group(group);
    }

    public static ImmutableArray<GroupId> ReadGroups(ref WireReader reader)
    {
        int count = reader.Count(16);
        if (count == 0) return [];
        var groups = ImmutableArray.CreateBuilder<GroupId>(count);
        for (int left = groups.Capacity; left > 0; left--) groups.Add(reader.Group());
        return groups.MoveToImmutable();
    }

    public static ImmutableArray<NodeId> ReadNodes(ref WireReader reader)
    {
        int count = reader.Count(2);
        if (count == 0) return [];
        var nodes = ImmutableArray.CreateBuilder<NodeId>(count);
        for (int left = nodes.Capacity; left > 0; left--) nodes.Add(reader.Node());
        return nodes.MoveToImmutable();
    }
}

// What the members of a group remember of callers that are not members: which of their messages they have delivered.
// Keeps: a message that was sent again is delivered once. All members with the state decide alike: a caller sends again only
// after all of them have delivered the first, or after a configuration, before which all delivered the same. Part of the group's state.
// Follows: protocol.md section 7. Deviation: nodes are forgotten with their end, clients when they say so, or a number of epochs after theirs.
using Core.Groups.Protocol.Ordering;
using Core.Groups.Wire;

namespace Core.Groups.Protocol.Requests;

internal sealed class CallerMemory
{
    /// <summary>
    /// A client is remembered for so many epochs after the node that served it left. No clock is needed for that, and whoever
    /// serves it next knows whether it is remembered still.
    /// </summary>
    public const long EpochsRemembered = 256;

    /// <summary>Null until somebody calls.</summary>
    private SortedDictionary<CallerSource, Delivered>? _sources;

    /// <summary>The numbers of one source that were delivered, or will never be sent: all up to a floor, and some above it.</summary>
    private sealed class Delivered
    {
        public long Floor { get; set; }
        public SortedSet<long> Above { get; } = [];
        /// <summary>Of a client: who served it when its last message came, and the last epoch that node was seen in.</summary>
        public NodeId Server { get; set; }
        public long Epoch { get; set; }

        public long Last => Above.Count > 0 ? Above.Max : Floor;

        public void Raise(long floor)
        {
            Floor = Math.Max(Floor, floor);
            while (Above.Count > 0 && Above.Min <= Floor + 1)
            {
                Floor = Math.Max(Floor, Above.Min);
                Above.Remove(Above.Min);
            }
        }
    }

    public int Count => _sources?.Count ?? 0;

    private SortedDictionary<CallerSource, Delivered> Sources => _sources ??= [];

    /// <summary>False: this message was delivered before, or is none.</summary>
    /// <param name="epoch">Of the present configuration.</param>
    public bool TryRemember(CallerStamp stamp, long epoch)
    {
        if (stamp.IsOver)
        {
            _sources?.Remove(stamp.Source);
            return false;
        }
        if (!Sources.TryGetValue(stamp.Source, out Delivered? delivered)) Sources.Add(stamp.Source, delivered = new Delivered());
        if (stamp.Sequence > delivered.Last) (delivered.Server, delivered.Epoch) = (stamp.Caller, epoch);
        if (stamp.Sequence <= delivered.Floor || !delivered.Above.Add(stamp.Sequence)) return false;
        delivered.Raise(Math.Min(stamp.ConfirmedUpTo, stamp.Sequence - 1));
        return true;
    }

    /// <summary>Takes in what another side of the group has delivered.</summary>
    public void Unite(CallerMemory other)
    {
        foreach ((CallerSource source, Delivered theirs) in other._sources ?? [])
        {
            if (!Sources.TryGetValue(source, out Delivered? ours)) Sources.Add(source, ours = new Delivered());
            if (theirs.Last > ours.Last) ours.Server = theirs.Server;
            ours.Epoch = Math.Max(ours.Epoch, theirs.Epoch);
            ours.Above.UnionWith(theirs.Above);
            ours.Raise(theirs.Floor);
        }
    }

    /// <summary>A configuration is installed: a node that is not in it comes back as another incarnation, if ever; a client may come through another node.</summary>
    /// <returns>The sources that are forgotten.</returns>
    public CallerSource[] Forget(Predicate<NodeId> isGone, long epoch)
    {
        if (_sources is not { Count: > 0 }) return [];
        var forgotten = new List<CallerSource>();
        foreach ((CallerSource source, Delivered delivered) in _sources)
        {
            if (!source.IsClient && isGone(source.Id)) forgotten.Add(source);
            if (!source.IsClient) continue;
            if (!isGone(delivered.Server)) delivered.Epoch = epoch;
            else if (epoch - delivered.Epoch > EpochsRemembered) forgotten.Add(source);
        }
        foreach (CallerSource source in forgotten) _sources.Remove(source);
        return [.. forgotten];
    }

    public byte[] Write()
    {
        var writer = new WireWriter();
        writer.Varint(Count);
        foreach ((CallerSource source, Delivered delivered) in _sources ?? [])
        {
            writer.Node(source.Id);
            writer.Flag(source.ById);
            writer.Flag(source.IsClient);
            if (source.IsClient)
            {
                writer.Node(delivered.Server);
                writer.Varint(delivered.Epoch);
            }
            writer.Varint(delivered.Floor);
            writer.Varint(delivered.Above.Count);
            foreach (long sequence in delivered.Above) writer.Varint(sequence);
        }
        return writer.ToArray();
    }

    public static CallerMemory Read(ref WireReader reader)
    {
        var memory = new CallerMemory();
        for (int sources = reader.Count(6); sources > 0; sources--)
        {
            var source = new CallerSource(reader.Node(), reader.Flag(), reader.Flag());
            var delivered = new Delivered();
            memory.Sources[source] = delivered;
            if (source.IsClient) (delivered.Server, delivered.Epoch) = (reader.Node(), reader.Varint());
            delivered.Floor = reader.Varint();
            for (int left = reader.Count(); left > 0; left--) delivered.Above.Add(reader.Varint());
        }
        return memory;
    }
}

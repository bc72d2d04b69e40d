// The scripted application's copy of one group: what a member made of the deliveries, one after the other.
// Keeps: the state is a function of what was delivered; for messages in total order, of their order too. So members
// whose states are equal saw the same, message for message, whether they were there or got it transferred.
using System.Runtime.InteropServices;
using Core.Groups.Protocol;

namespace Core.Groups.Testing.Simulation;

/// <summary>One membership of one incarnation: from the join to the leave.</summary>
internal sealed class GroupReplica(GroupId group, string name)
{
    private readonly List<MessageId> ordered = [];
    private readonly List<MessageId> unordered = [];
    private readonly HashSet<ulong> handled = [];
    private readonly SortedDictionary<string, string> configuration = new(StringComparer.Ordinal);

    /// <summary>The markers of all messages in the state: a message that was sent again has another id.</summary>
    private readonly HashSet<ulong> known = [];

    public GroupId Id { get; set; } = group;
    public string Name => name;

    /// <summary>The last view that was handed over.</summary>
    public View? View { get; set; }

    /// <summary>Whether the state is there: initialised by the first member, or transferred.</summary>
    public bool IsLoaded { get; set; }

    /// <summary>Whether the machine has handed over the state, and deliveries may follow.</summary>
    public bool WasGivenState { get; set; }

    public bool IsLeaving { get; set; }

    /// <summary>What was handed over and is not handled yet.</summary>
    public Queue<Action> Inbox { get; } = [];

    /// <summary>Whether a handler runs.</summary>
    public bool IsBusy { get; set; }

    /// <summary>The bytes sent that not all members have consumed.</summary>
    public long CreditUsed { get; private set; }

    /// <summary>Sends that wait for credit.</summary>
    public Queue<(int Size, Action Send, Action? GiveUp)> Waiting { get; } = [];

    /// <summary>Sends when there is credit.</summary>
    /// <param name="giveUp">In place of it, if the membership ends before.</param>
    public void WithCredit(long window, int size, Action send, Action? giveUp = null)
    {
        if (Waiting.Count > 0 || !HasCredit(window, size))
        {
            Waiting.Enqueue((size, send, giveUp));
            return;
        }
        CreditUsed += size;
        send();
    }

    public void Release(long bytes, long window)
    {
        CreditUsed -= bytes;
        while (Waiting.TryPeek(out var next) && HasCredit(window, next.Size))
        {
            Waiting.Dequeue();
            CreditUsed += next.Size;
            next.Send();
        }
    }

    public void GiveUpWaiting()
    {
        while (Waiting.TryDequeue(out var waiting)) waiting.GiveUp?.Invoke();
    }

    private bool HasCredit(long window, int size) => CreditUsed == 0 || CreditUsed + size <= window;

    /// <summary>The markers of own multicasts that the machine was asked for.</summary>
    public List<ulong> Asked { get; } = [];

    /// <summary>The markers of own multicasts that have left.</summary>
    public List<ulong> Sent { get; } = [];

    /// <summary>All messages in the state, transferred or handled here.</summary>
    public IEnumerable<MessageId> Messages => ordered.Concat(unordered);

    /// <summary>The markers of what was handled in this membership, in no order.</summary>
    public IEnumerable<ulong> HandledMarkers => handled;

    /// <summary>Whether a message was handled in this membership (not: was in the transferred state).</summary>
    public bool Handled(ulong marker) => handled.Contains(marker);

    /// <summary>Whether a message was handled, here or in the state that was transferred.</summary>
    public bool Knows(ulong marker) => known.Contains(marker);

    /// <summary>False: it was handled before, here or in the state that was transferred.</summary>
    public bool Apply(in Delivery delivery, ulong marker) =>
        Apply(delivery.Message, delivery.Order is Order.Total or Order.CausalTotal or Order.Safe or Order.Group && delivery.Spread?.Label is null, marker);

    /// <summary>The same, under another id than that of the delivery.</summary>
    /// <param name="isOrdered">In the group's total order: a label is an order of its own, over all its groups.</param>
    public bool Apply(MessageId message, bool isOrdered, ulong marker)
    {
        (isOrdered ? ordered : unordered).Add(message);
        handled.Add(marker);
        return known.Add(marker);
    }

    /// <summary>Carries a change of the configuration data out. It has its place in the total order like a message.</summary>
    public void Configure(string key, string? value, bool isTransferred)
    {
        if (value is null) configuration.Remove(key);
        else configuration[key] = value;
        if (!isTransferred) ordered.Add(new MessageId(new NodeId($"{key}={value}", 0), 0, 0));
    }

    public byte[] Save(int ballast)
    {
        using MemoryStream stream = new();
        using BinaryWriter writer = new(stream);
        foreach (List<MessageId> list in new[] { ordered, unordered })
        {
            writer.Write(list.Count);
            foreach (MessageId message in CollectionsMarshal.AsSpan(list))
            {
                writer.Write(message.Sender.Name);
                writer.Write(message.Sender.Incarnation);
                writer.Write(message.Epoch);
                writer.Write(message.Sequence);
            }
        }
        writer.Write(known.Count);
        foreach (ulong marker in known.Order()) writer.Write(marker);
        writer.Write(ballast);
        for (int i = 0; i < ballast; i++) writer.Write((byte)i);
        return stream.ToArray();
    }

    /// <summary>False: these are not the bytes that a donor saved.</summary>
    public bool TryLoad(ReadOnlyMemory<byte> state)
    {
        try
        {
            using BinaryReader reader = new(new MemoryStream(state.ToArray()));
            foreach (List<MessageId> list in new[] { ordered, unordered })
            {
                for (int count = reader.ReadInt32(); count > 0; count--)
                {
                    NodeId sender = new(reader.ReadString(), reader.ReadInt64());
                    list.Add(new MessageId(sender, reader.ReadInt64(), reader.ReadInt64()));
                }
            }
            for (int count = reader.ReadInt32(); count > 0; count--) known.Add(reader.ReadUInt64());
            int ballast = reader.ReadInt32();
            byte[] rest = reader.ReadBytes(ballast + 1);
            for (int i = 0; i < rest.Length; i++)
                if (rest[i] != (byte)i) return false;
            return rest.Length == ballast;
        }
        catch (Exception exception) when (exception is IOException or ArgumentException)
        {
            return false;
        }
    }

    /// <summary>
    /// Makes one state of the sides' states, the same at all members: what is in total order in the sides' order, everything once.
    /// False: these are not the bytes that members saved.
    /// </summary>
    public bool TryReconcile(IEnumerable<ReadOnlyMemory<byte>> sides)
    {
        GroupReplica[] all = [.. sides.Select(_ => new GroupReplica(Id, name))];
        if (!all.Zip(sides, (replica, state) => replica.TryLoad(state)).All(done => done)) return false;
        Replace(ordered, all.SelectMany(side => side.ordered));
        Replace(unordered, all.SelectMany(side => side.unordered));
        known.Clear();
        foreach (GroupReplica side in all) known.UnionWith(side.known);
        return true;
    }

    private static void Replace(List<MessageId> list, IEnumerable<MessageId> messages)
    {
        MessageId[] once = [.. messages.Distinct()];
        list.Clear();
        list.AddRange(once);
    }

    /// <summary>How two states differ, as an English phrase; null if they are equal.</summary>
    public string? DifferenceTo(GroupReplica other)
    {
        for (int i = 0; i < Math.Max(ordered.Count, other.ordered.Count); i++)
        {
            if (i >= ordered.Count) return $"lacks {other.ordered[i]} at the end of the total order";
            if (i >= other.ordered.Count) return $"has {ordered[i]} too much at the end of the total order";
            if (ordered[i] != other.ordered[i]) return $"has {ordered[i]} in place {i} of the total order instead of {other.ordered[i]}";
        }
        if (!configuration.SequenceEqual(other.configuration)) return $"has the configuration data [{string.Join(' ', configuration)}] instead of [{string.Join(' ', other.configuration)}]";
        string[] mine = Texts(unordered.Except(other.unordered)), theirs = Texts(other.unordered.Except(unordered));
        if (mine.Length > 0) return $"has {string.Join(", ", mine)} too much";
        if (theirs.Length > 0) return $"lacks {string.Join(", ", theirs)}";
        return unordered.Count == other.unordered.Count ? null : "has a message twice";
    }

    private static string[] Texts(IEnumerable<MessageId> messages) =>
        [.. messages.Select(m => m.ToString()).Order(StringComparer.Ordinal).Take(10)];
}

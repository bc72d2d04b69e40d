// The calls of this node, or of a client of it, to one group by its name that are not settled, and the member through which they go.
// Keeps: calls leave in their order; another contact is chosen only when nothing is left with the one before, so that it
// cannot overtake it. Numbers of one queue follow each other: members remember them as one range.
using Core.Groups.Protocol.Groups;
using Core.Groups.Protocol.Ordering;

namespace Core.Groups.Protocol.Requests;

/// <summary>Which calls go in one queue: those of one caller to one address, a group's name or its id in text.</summary>
/// <param name="Client">Null: the node's own calls.</param>
internal readonly record struct CallerAddress(NodeId? Client, string Name) : IComparable<CallerAddress>
{
    public int CompareTo(CallerAddress other)
    {
        int byClient = Nullable.Compare(Client, other.Client);
        return byClient != 0 ? byClient : string.CompareOrdinal(Name, other.Name);
    }
}

/// <summary>A client's own number of a call, and those that it has had the answers of.</summary>
internal readonly record struct ClientNumber(long Sequence, long ConfirmedUpTo, bool IsOver = false);

/// <summary>One call by a group's name.</summary>
internal sealed class CallerCall(CallerQueue queue, long call, long sequence, MessageKind kind, bool wantsReplies, ReadOnlyMemory<byte> body)
{
    /// <summary>Of a client's call: what the client says of those before it.</summary>
    public ClientNumber? Client { get; init; }

    public CallerQueue Queue => queue;
    public long Call => call;
    public long Sequence => sequence;
    public MessageKind Kind => kind;
    public bool WantsReplies => wantsReplies;
    public ReadOnlyMemory<byte> Body { get; private set; } = body;
    /// <summary>The credit that it takes, in bytes.</summary>
    public int Cost { get; } = body.Length + CreditAccount.MessageOverhead;
    /// <summary>A causal call leaves when this is settled; null for others.</summary>
    public PastEntry[]? Past { get; set; }
    /// <summary>The group of this name when the call first left; another one of the same name never gets it.</summary>
    public GroupId SentTo { get; set; }
    public NodeId Contact { get; set; }
    /// <summary>How much of the body the contact was given; null: nothing, not even an empty body.</summary>
    public int? Given { get; set; }
    /// <summary>Ended for the application, while it is with the contact: it is not sent again.</summary>
    public bool IsWithdrawn { get; set; }
    public bool IsSettled { get; private set; }
    public bool IsConsumed { get; set; }

    public bool IsWhole => Given == Body.Length;

    public void Settle()
    {
        IsSettled = true;
        Body = default;
    }
}

internal sealed class CallerQueue(CallerAddress address, CallerSource source, long lastSequence)
{
    public CallerAddress Address => address;
    public string Name => address.Name;
    public CallerSource Source => source;
    public long LastSequence { get; set; } = lastSequence;
    /// <summary>Not, or not wholly, with the contact; by sequence.</summary>
    public SortedDictionary<long, CallerCall> Waiting { get; } = [];
    /// <summary>With the contact, and not known to be settled.</summary>
    public SortedDictionary<long, CallerCall> Unsettled { get; } = [];
    /// <summary>The credit in use: bytes that are with the contact, and not known to be consumed.</summary>
    public long Outstanding { get; set; }

    public GroupId Group { get; set; }
    public NodeId? Contact { get; set; }
    /// <summary>The last call that this contact got; 0: none.</summary>
    public long LastGiven { get; set; }
    /// <summary>A contact that refused: another one is tried first.</summary>
    public NodeId? Refuser { get; set; }
    public bool IsLookingUp { get; set; }
    public TimeSpan? RetryAt { get; set; }

    public bool IsIdle => Waiting.Count == 0 && Unsettled.Count == 0 && Outstanding == 0;

    /// <summary>All calls up to this number are settled, or will never be sent: no member needs to remember them.</summary>
    public long ConfirmedUpTo => Math.Min(First(Waiting), First(Unsettled)) - 1;

    private long First(SortedDictionary<long, CallerCall> calls)
    {
        foreach (long sequence in calls.Keys) return sequence;
        return LastSequence + 1;
    }

    /// <summary>There is no contact now: what it got in part begins again.</summary>
    public void Release()
    {
        Contact = null;
        LastGiven = 0;
        foreach (CallerCall call in Waiting.Values) call.Given = null;
    }
}

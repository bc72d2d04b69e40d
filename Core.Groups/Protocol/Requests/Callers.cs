// Calls to a group by its name, mostly from outside, of this node and its clients: through a member, the contact, which sends them in the group.
// Keeps: a call is delivered once, in one view, whatever fails. What is not settled in one configuration is sent again in the
// next with the same number, which members recognise; within a configuration only what the contact refused is.
// Follows: protocol.md section 7. A call is in the causal past of what its node does after it has ended: by then it is
// settled, or answered, which comes later. So a call without replies ends when it is settled, not when it is stable.
using Core.Groups.Protocol.Groups;
using Core.Groups.Protocol.Links;
using Core.Groups.Protocol.Ordering;
using Core.Groups.Wire;

namespace Core.Groups.Protocol.Requests;

internal sealed class Callers(NodeContext context, ChannelTable channels, Services services, GroupService groups, RequestTable requests)
{
    private const int PieceSize = 32 << 10;
    /// <summary>How many bytes may be on the contact's link before the next piece waits.</summary>
    private const long LinkWindow = 256 << 10;
    /// <summary>How many bytes of one group's calls may be with the contact and not consumed by all members; one call always may.</summary>
    private const long Window = 1 << 20;
    /// <summary>The same for a client, of which there may be thousands.</summary>
    private const long ClientWindow = 64 << 10;
    /// <summary>Beyond so many queues those are let go in which nothing happens.</summary>
    private const int KeptQueues = 256;
    private static readonly TimeSpan Retry = TimeSpan.FromMilliseconds(10);

    private readonly SortedDictionary<CallerAddress, CallerQueue> _queues = [];
    /// <summary>The queues in which calls wait: a node may have thousands of clients that are silent.</summary>
    private readonly SortedDictionary<CallerAddress, CallerQueue> _busy = [];
    private readonly List<CallerQueue> _idle = [];
    /// <summary>Calls that wait, are not settled, or not consumed.</summary>
    private readonly Dictionary<long, CallerCall> _calls = [];
    private long _lastSequence;
    private int _sweepAt = KeptQueues;

    /// <summary>A causal call waits until something of its past is settled.</summary>
    public bool WaitsForPast { get; private set; }

    public int Count => _calls.Count;

    /// <summary>The request <paramref name="call"/> has begun: it leaves at the end of the turn, or when it can.</summary>
    public void Submit(long call, string name, MessageKind kind, ReadOnlyMemory<byte> body, bool wantsReplies)
    {
        CallerQueue queue = QueueOf(new CallerAddress(null, name));
        long sequence = ++queue.LastSequence;
        _lastSequence = Math.Max(_lastSequence, sequence);
        Add(new CallerCall(queue, call, sequence, kind, wantsReplies, body) { Past = kind.IsCausal() ? context.Ordering?.CapturePast() : null });
    }

    /// <summary>The same for a client, which numbers its calls itself. What it knows of others is settled: so its calls have no past here.</summary>
    /// <param name="expected">The group that it is meant for; none: whichever has the name.</param>
    public void Submit(long call, CallerAddress address, GroupId expected, ClientNumber number, MessageKind kind, ReadOnlyMemory<byte> body, bool wantsReplies)
    {
        CallerQueue queue = QueueOf(address);
        queue.LastSequence = Math.Max(queue.LastSequence, number.Sequence);
        Add(new CallerCall(queue, call, number.Sequence, kind, wantsReplies, body) { Client = number, SentTo = expected });
    }

    /// <summary>The same for a group whose members ask as one. False: this node has asked under this number, or a higher one, before.</summary>
    public bool TrySubmitAsGroup(long call, NodeId asker, string name, long number, MessageKind kind, ReadOnlyMemory<byte> body, bool wantsReplies)
    {
        CallerQueue queue = QueueOf(new CallerAddress(asker, name));
        if (number <= queue.LastSequence) return false;
        queue.LastSequence = number;
        Add(new CallerCall(queue, call, number, kind, wantsReplies, body)
        {
            Client = new ClientNumber(number, Math.Max(0, number - GroupCallers.Kept)), Past = kind.IsCausal() ? context.Ordering?.CapturePast() : null,
        });
        return true;
    }

    /// <summary>Whether nothing of a client's calls to this address is with a contact, or waits to be.</summary>
    public bool IsQuiet(CallerAddress address) => !_queues.TryGetValue(address, out CallerQueue? queue) || (queue.Waiting.Count == 0 && queue.Unsettled.Count == 0);

    /// <summary>A client whose calls are quiet sends some of them again: with them its contact is chosen anew.</summary>
    public void BeginAgain(CallerAddress address)
    {
        if (_queues.TryGetValue(address, out CallerQueue? queue)) queue.Release();
    }

    private CallerQueue QueueOf(CallerAddress address)
    {
        if (_queues.TryGetValue(address, out CallerQueue? queue)) return queue;
        if (_queues.Count >= _sweepAt) Sweep();
        var source = new CallerSource(address.Client ?? context.Self, GroupId.TryParse(address.Name, out _), address.Client is not null);
        _queues.Add(address, queue = new CallerQueue(address, source, address.Client is null ? _lastSequence : 0));
        return queue;
    }

    private void Add(CallerCall made)
    {
        Wait(made);
        _calls.Add(made.Call, made);
    }

    private void Wait(CallerCall call)
    {
        call.Queue.Waiting.Add(call.Sequence, call);
        _busy.TryAdd(call.Queue.Address, call.Queue);
    }

    private void Sweep()
    {
        foreach (CallerQueue idle in _queues.Values.Where(q => q.IsIdle).ToArray())
        {
            _queues.Remove(idle.Address);
            _busy.Remove(idle.Address);      // or it would stand in the way of the next queue to this address
        }
        _sweepAt = Math.Max(KeptQueues, _queues.Count * 2);
    }

    /// <summary>The request has ended, for whatever reason. What is with the contact may still be delivered, but is not sent again.</summary>
    public void Withdraw(long call)
    {
        if (!_calls.TryGetValue(call, out CallerCall? made) || made.IsSettled) return;
        made.IsWithdrawn = true;
        if (made.Queue.Waiting.Remove(made.Sequence)) _calls.Remove(call);
    }

    // ---- sending

    /// <summary>Gives the contacts what may leave.</summary>
    public void Pump()
    {
        WaitsForPast = false;
        if (_busy.Count == 0 || !context.IsWorking) return;
        foreach (CallerQueue queue in _busy.Values)
        {
            if (queue.Waiting.Count == 0) _idle.Add(queue);
            else if (queue.Contact is { } contact)
            {
                while (queue.Waiting.Count > 0 && TryGive(queue, queue.Waiting.First().Value, contact)) { }
            }
            else if (queue.Unsettled.Count == 0 && !queue.IsLookingUp && !(queue.RetryAt > context.Now)) LookUp(queue);
        }
        foreach (CallerQueue queue in _idle) _busy.Remove(queue.Address);
        _idle.Clear();
    }

    private void LookUp(CallerQueue queue)
    {
        queue.IsLookingUp = true;
        queue.RetryAt = null;
        groups.Directory.LookUp(queue.Name, GroupId.None, entry => Answered(queue, entry));
    }

    private void Answered(CallerQueue queue, RegistryEntry? entry)
    {
        queue.IsLookingUp = false;
        foreach (CallerCall call in queue.Waiting.Values.ToArray())
        {
            bool isGone = entry is null || (call.SentTo != GroupId.None && !entry.IsKnownAs(call.SentTo));
            if (isGone) requests.End(call.Call, Outcome.NoSuchGroup);
        }
        if (entry is null) return;
        queue.Group = entry.Id;
        NodeId[] present = [.. entry.Members.Where(m => context.RankOf(m) >= 0)];
        NodeId[] others = [.. present.Where(m => m != queue.Refuser)];
        if (others.Length > 0) present = others;
        queue.Refuser = null;
        if (present.Contains(context.Self)) queue.Contact = context.Self;
        else if (present.Length > 0) queue.Contact = present[context.RankOf(context.Self) % present.Length];      // not all callers take the same
        else queue.RetryAt = context.Now + Retry;
    }

    /// <summary>Gives the contact the next pieces of a call, as far as its link takes them. True: it has the whole.</summary>
    private bool TryGive(CallerQueue queue, CallerCall call, NodeId contact)
    {
        if (call.SentTo != GroupId.None && call.SentTo != queue.Group)
        {
            requests.End(call.Call, Outcome.NoSuchGroup);      // another one of the same name
            return true;
        }
        if (call.Given is null && !MayBegin(queue, call)) return false;
        Channel? channel = channels.Find(contact);
        bool isSelf = contact == context.Self;
        while (!call.IsWhole || call.Given is null)
        {
            if (!isSelf && (channel is not { Rank: >= 0 } || channel.Link.UnacknowledgedBytes + channel.OpenLength > LinkWindow)) return false;
            int offset = call.Given ?? 0;
            ReadOnlyMemory<byte> piece = call.Body.Slice(offset, Math.Min(PieceSize, call.Body.Length - offset));
            var cast = new CallerCast(
                queue.Group, call.Call, StampOf(call), queue.LastGiven, call.Kind, call.WantsReplies, call.Body.Length, offset, piece);
            services.Send(contact, ServiceRecord.CallerCast, cast.Write);
            call.Given = offset + piece.Length;
        }
        call.Contact = contact;
        call.SentTo = queue.Group;
        call.IsConsumed = false;
        queue.LastGiven = call.Sequence;
        queue.Outstanding += call.Cost;
        queue.Waiting.Remove(call.Sequence);
        queue.Unsettled.Add(call.Sequence, call);
        return true;
    }

    private CallerStamp StampOf(CallerCall call)
    {
        CallerQueue queue = call.Queue;
        long confirmed = call.Client is { } client ? Math.Min(client.ConfirmedUpTo, queue.ConfirmedUpTo) : queue.ConfirmedUpTo;
        return new CallerStamp(context.Self, queue.Source, call.Sequence, confirmed, call.Client is { IsOver: true });
    }

    private bool MayBegin(CallerQueue queue, CallerCall call)
    {
        if (queue.Outstanding > 0 && queue.Outstanding + call.Cost > (call.Client is null ? Window : ClientWindow)) return false;
        // To hand a causal call to the contact is to send a causal message to it alone: the sending rule holds.
        if (call.Past is null || context.Ordering!.IsSettled(call.Past)) return true;
        WaitsForPast = true;
        return false;
    }

    // ---- what the contact tells

    public void OnProgress(NodeId from, ref WireReader reader)
    {
        CallerProgress progress = CallerProgress.Read(ref reader);
        if (!_calls.TryGetValue(progress.Call, out CallerCall? call) || call.Contact != from) return;
        bool isOpen = call.Queue.Unsettled.ContainsKey(call.Sequence);
        switch (progress.Stage)
        {
            case CallerStage.Sent:
                if (isOpen) requests.OnSent(call.Call, [.. progress.Members.Select(m => new Answerer(m, call.SentTo))]);
                break;
            case CallerStage.Settled:
                if (isOpen) OnSettled(call, Outcome.Done, new MessageId(from, context.Configuration!.Id.Epoch, progress.Sequence));
                break;
            case CallerStage.Consumed:
                OnConsumed(call);
                break;
            case CallerStage.Refused:
                if (isOpen) OnRefused(call, from);
                break;
            case CallerStage.TooLarge:
                if (!isOpen) break;
                OnConsumed(call);
                OnSettled(call, Outcome.TooLarge, default);
                break;
            default:
                throw new WireFormatException("A contact tells of no known stage.");
        }
    }

    private void OnSettled(CallerCall call, Outcome outcome, MessageId message)
    {
        call.Queue.Unsettled.Remove(call.Sequence);
        call.Settle();
        if (call.IsConsumed) _calls.Remove(call.Call);
        if (outcome != Outcome.Done) requests.End(call.Call, outcome);
        else if (!call.WantsReplies) requests.EndSent(call.Call, message);
    }

    private void OnConsumed(CallerCall call)
    {
        if (call.IsConsumed || call.Given is null) return;
        call.IsConsumed = true;
        call.Queue.Outstanding -= call.Cost;
        if (call.IsSettled) _calls.Remove(call.Call);
    }

    private void OnRefused(CallerCall call, NodeId contact)
    {
        CallerQueue queue = call.Queue;
        queue.Unsettled.Remove(call.Sequence);
        queue.Outstanding -= call.Cost;
        call.Given = null;
        if (call.IsWithdrawn) _calls.Remove(call.Call);
        else Wait(call);
        if (queue.Contact != contact) return;
        queue.Release();
        queue.Refuser = contact;
        queue.RetryAt = context.Now + Retry;
    }

    // ---- configurations and time

    /// <summary>A new configuration: everything that is not settled is sent again, and every contact is chosen anew.</summary>
    public void OnInstalled()
    {
        foreach (CallerQueue queue in _queues.Values)
        {
            foreach (CallerCall call in queue.Unsettled.Values)
            {
                if (call.IsWithdrawn) continue;
                requests.Recall(call.Call);
                Wait(call);
            }
            queue.Unsettled.Clear();
            queue.Release();
            queue.Refuser = null;
            queue.RetryAt = null;
            queue.IsLookingUp = false;
            queue.Outstanding = 0;
            foreach (CallerCall call in queue.Waiting.Values)
            {
                if (call.Past is not null) call.Past = [];      // all of it is settled
            }
        }
        foreach (CallerCall over in _calls.Values.Where(c => c.IsSettled || c.IsWithdrawn).ToArray()) _calls.Remove(over.Call);
        Sweep();
    }

    public TimeSpan Deadline()
    {
        TimeSpan deadline = TimeSpan.MaxValue;
        if (_calls.Count == 0 || !context.IsWorking) return deadline;
        foreach (CallerQueue queue in _busy.Values)
        {
            if (queue.Waiting.Count > 0 && queue.Unsettled.Count == 0 && queue.RetryAt is { } at && at < deadline) deadline = at;
        }
        return deadline;
    }
}

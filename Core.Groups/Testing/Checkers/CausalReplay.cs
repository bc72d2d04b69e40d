// Replays one configuration in an order in which every send stands before its deliveries, and keeps for each node what
// it knows. A past is not copied: a node's knowledge only grows, so it is a log of (stream, up to where), and the past
// of a message is a prefix of its sender's log. Each node takes in each part of another's log once.
using Core.Groups.Tracing;

namespace Core.Groups.Testing.Checkers;

/// <summary>The check of causal order in one configuration. Linear in events times nodes.</summary>
internal sealed class CausalReplay
{
    private readonly IChecker checker;
    private readonly List<Knower> knowers = [];
    private readonly Dictionary<NodeTrace, Knower> knowerOf = [];

    /// <summary>Which prefix of the sender's log is the past of each message that has been sent (or called for).</summary>
    private readonly Dictionary<Message, int> pasts = [];

    private readonly Dictionary<Message, List<Knower>> waiting = [];
    private readonly Queue<Knower> ready = new();

    internal CausalReplay(IChecker checker, List<Period> stays, Dictionary<NodeTrace, Dictionary<long, Message>> calls)
    {
        this.checker = checker;
        foreach (Period stay in stays)
        {
            if (knowerOf.ContainsKey(stay.Trace))
                continue; // a second installation of the same configuration: the configuration checker's matter
            var knower = new Knower(stay, calls[stay.Trace]);
            knowers.Add(knower);
            knowerOf.Add(stay.Trace, knower);
        }
    }

    internal IEnumerable<Violation> Run()
    {
        foreach (Knower knower in knowers)
        {
            CallEarlier(knower);
            ready.Enqueue(knower);
        }
        while (ready.TryDequeue(out Knower? knower))
        {
            foreach (Violation violation in Advance(knower))
                yield return violation;
        }
        foreach (Knower stuck in knowers.Where(knower => knower.Position < knower.End))
        {
            TraceEvent line = stuck.Trace.Events[stuck.Position];
            yield return checker.Found($"{stuck.Trace} delivered {line.Message} before it could have been sent (EVS 1.1): the traces of the nodes contradict each other.", line);
        }
    }

    /// <summary>Calls made in earlier configurations whose messages leave in this one stand at its beginning, in their order.</summary>
    private void CallEarlier(Knower knower)
    {
        for (int i = 0; i < knower.Position; i++)
        {
            if (knower.Trace.Events[i] is { Kind: TraceKind.Call } call)
                Call(knower, call);
        }
    }

    /// <summary>Goes on at a node until its configuration ends or it must wait for a send of another.</summary>
    private IEnumerable<Violation> Advance(Knower knower)
    {
        for (; knower.Position < knower.End; knower.Position++)
        {
            TraceEvent line = knower.Trace.Events[knower.Position];
            if (line.Kind == TraceKind.Call)
                Call(knower, line);
            else if (line.Kind == TraceKind.Send)
                Send(knower, knower.NextSend());
            else if (line.Kind == TraceKind.Deliver)
            {
                Message message = knower.NextDelivery().Message;
                if (MustWait(message))
                {
                    knower.UndoDelivery();
                    if (!waiting.TryGetValue(message, out List<Knower>? waiters))
                        waiting.Add(message, waiters = []);
                    waiters.Add(knower);
                    yield break;
                }
                if (Deliver(knower, message) is { } violation)
                    yield return violation;
            }
        }
    }

    private bool MustWait(Message message) =>
        message.SentIn is { } sentIn && knowerOf.TryGetValue(sentIn.Trace, out Knower? sender) && sender.Stay == sentIn && message.SendIndex >= sender.Position;

    /// <summary>A message that waits is in its node's past from the call on, and its own past is fixed there.</summary>
    private void Call(Knower knower, TraceEvent call)
    {
        if (knower.Calls.TryGetValue(call.Call, out Message? message) && message.SentIn == knower.Stay)
            Know(knower, message);
    }

    private void Send(Knower knower, Message? message)
    {
        if (message is null)
            return;
        Know(knower, message);
        if (waiting.Remove(message, out List<Knower>? waiters))
            waiters.ForEach(ready.Enqueue);
    }

    private void Know(Knower sender, Message message)
    {
        // A GBCAST enters the past when it is delivered, not when it is sent: its sender goes on meanwhile.
        if (pasts.TryAdd(message, sender.Log.Count) && message.Order != Order.Group)
            sender.Learn(message.Stream!, message.StreamIndex);
    }

    private Violation? Deliver(Knower knower, Message message)
    {
        if (message.Stream is null)
            return null;
        Violation? violation = null;
        if (message.IsCausal && message.Sender != knower.Trace && knowerOf.TryGetValue(message.Sender!, out Knower? sender)
            && pasts.TryGetValue(message, out int past))
        {
            violation = TakeIn(knower, sender, past, message);
        }
        else if (message.IsCausal && message.Sender == knower.Trace && pasts.TryGetValue(message, out int own))
            violation = CheckOwn(knower, own, message);
        knower.Delivered[message.Stream] = Math.Max(message.StreamIndex, knower.Delivered.GetValueOrDefault(message.Stream));
        knower.Learn(message.Stream, message.StreamIndex);
        return violation;
    }

    /// <summary>Takes in the part of the sender's log that is the message's past and not yet known here.</summary>
    private Violation? TakeIn(Knower knower, Knower sender, int past, Message message)
    {
        Violation? violation = null;
        int from = knower.TakenIn.GetValueOrDefault(sender);
        for (int i = from; i < past; i++)
        {
            (MessageStream stream, int upTo) = sender.Log[i];
            violation ??= Missing(knower, stream, upTo, message);
            knower.Learn(stream, upTo);
        }
        knower.TakenIn[sender] = Math.Max(from, past);
        return violation;
    }

    /// <summary>A node's own message comes back to it only after the past that it had when it was sent.</summary>
    private Violation? CheckOwn(Knower knower, int past, Message message)
    {
        Violation? violation = null;
        int from = knower.TakenIn.GetValueOrDefault(knower);
        for (int i = from; i < past; i++)
            violation ??= Missing(knower, knower.Log[i].Stream, knower.Log[i].UpTo, message);
        knower.TakenIn[knower] = Math.Max(from, past);
        return violation;
    }

    private Violation? Missing(Knower knower, MessageStream stream, int upTo, Message message)
    {
        int delivered = knower.Delivered.GetValueOrDefault(stream);
        if (delivered >= upTo || knower.Position < knower.OwedFrom(stream))
            return null;
        Message missing = stream.Messages[delivered];
        Delivery? later = missing.DeliveryAt(knower.Trace);
        return checker.Found(
            $"{knower.Trace} delivered {message} {(later is null ? "without" : "before")} {missing}, which is in its causal past (EVS 5).",
            missing.Line, message.Line, knower.Trace.Events[knower.Position], later?.Line);
    }

    /// <summary>A node in this configuration: where the replay stands and what the node knows.</summary>
    private sealed class Knower
    {
        private readonly Dictionary<MessageStream, int> known = [];
        private readonly Dictionary<MessageStream, int> owedFrom = [];
        private int nextSend, nextDelivery;

        internal Knower(Period stay, Dictionary<long, Message> calls)
        {
            Stay = stay;
            Calls = calls;
            Position = stay.Start + 1;
            End = stay.NextRegular?.Start ?? stay.Trace.Events.Count;
            nextSend = Trace.Sends.FindIndex(message => message.SendIndex >= Position);
            nextDelivery = Trace.Deliveries.FindIndex(delivery => delivery.Index >= Position);
        }

        internal Period Stay { get; }
        internal NodeTrace Trace => Stay.Trace;
        internal Dictionary<long, Message> Calls { get; }
        internal int Position { get; set; }
        internal int End { get; }
        internal List<(MessageStream Stream, int UpTo)> Log { get; } = [];
        internal Dictionary<MessageStream, int> Delivered { get; } = [];

        /// <summary>How much of each other node's log is known here already.</summary>
        internal Dictionary<Knower, int> TakenIn { get; } = [];

        internal void Learn(MessageStream stream, int upTo)
        {
            if (known.GetValueOrDefault(stream) >= upTo)
                return;
            known[stream] = upTo;
            Log.Add((stream, upTo));
        }

        /// <summary>From where in the trace this node owes the messages of a stream: a joiner is held to them from its state on.</summary>
        internal int OwedFrom(MessageStream stream)
        {
            if (owedFrom.TryGetValue(stream, out int from))
                return from;
            Message any = stream.Messages[0];
            from = int.MaxValue;
            if (any.IsOwedBy(Trace))
            {
                from = any.Groups.IsEmpty ? 0 : from;
                foreach (GroupView? view in any.Views)
                {
                    if (view is not null && Trace.Views.TryGetValue(view, out ViewPeriod? at) && at.Membership.HasState)
                        from = Math.Min(from, at.Membership.StateIndex);
                }
            }
            owedFrom.Add(stream, from);
            return from;
        }

        /// <summary>The message of the send at this position; null for the repeated send of an id.</summary>
        internal Message? NextSend() =>
            nextSend >= 0 && nextSend < Trace.Sends.Count && Trace.Sends[nextSend].SendIndex == Position ? Trace.Sends[nextSend++] : null;

        internal Delivery NextDelivery() => Trace.Deliveries[nextDelivery++];

        internal void UndoDelivery() => nextDelivery--;
    }
}

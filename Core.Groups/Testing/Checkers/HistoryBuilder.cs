// Indexes the traces: one pass over each node's lines in their order, then the links between nodes.
using System.Collections.Immutable;
using Core.Groups.Tracing;

namespace Core.Groups.Testing.Checkers;

/// <summary>Builds a <see cref="History"/>. Linear in the number of events.</summary>
internal sealed class HistoryBuilder
{
    private readonly List<Message> messages = [];
    private readonly Dictionary<string, Message> byId = [];
    private readonly List<TraceEvent> repeatedSends = [];
    private readonly Dictionary<(string Group, string Id), GroupView> views = [];
    private readonly Dictionary<string, ImmutableArray<string>> singleGroups = [];

    // The node whose lines are read now.
    private NodeTrace trace = null!;
    private readonly Dictionary<string, Membership> current = [];

    internal static History Build(IEnumerable<TraceEvent> events)
    {
        var byNode = new Dictionary<NodeId, List<TraceEvent>>();
        foreach (TraceEvent line in events)
        {
            if (!byNode.TryGetValue(line.Node, out List<TraceEvent>? lines))
                byNode.Add(line.Node, lines = []);
            lines.Add(line);
        }
        var builder = new HistoryBuilder();
        var traces = new List<NodeTrace>();
        foreach (NodeId node in byNode.Keys.Order())
        {
            var trace = new NodeTrace(node, traces.Count);
            traces.Add(trace);
            builder.Read(trace, byNode[node]);
        }
        builder.LinkDeliveries(traces);
        builder.FormStreams(traces);
        return new History(traces, builder.messages, builder.byId, builder.repeatedSends, [.. builder.views.Values]);
    }

    private void Read(NodeTrace next, List<TraceEvent> lines)
    {
        trace = next;
        current.Clear();
        foreach (TraceEvent line in lines)
        {
            switch (line.Kind)
            {
                case TraceKind.Configuration: OnConfiguration(line); break;
                case TraceKind.View: OnView(line); break;
                case TraceKind.Leave: OnLeave(line); break;
                case TraceKind.State: OnState(line); break;
                case TraceKind.Send: OnSend(line); break;
                case TraceKind.Deliver: OnDeliver(line); break;
                case TraceKind.Block: trace.EndsBlocked = true; break;
                case TraceKind.Unblock: trace.EndsBlocked = false; break;
            }
            trace.Events.Add(line);
        }
    }

    private void OnConfiguration(TraceEvent line)
    {
        Period? previous = trace.LastPeriod;
        var period = new Period(trace, line, trace.Events.Count, previous);
        if (previous is not null)
            previous.Next = period;
        trace.Periods.Add(period);
        trace.PeriodsByKey.TryAdd(period.Key, period);
    }

    private void OnView(TraceEvent line)
    {
        string group = line.Group ?? "";
        if (!views.TryGetValue((group, line.ViewId ?? ""), out GroupView? view))
            views.Add((group, line.ViewId ?? ""), view = new GroupView(line));
        bool isFirst = !current.TryGetValue(group, out Membership? membership);
        if (membership is null)
        {
            current.Add(group, membership = new Membership(trace, group));
            trace.Memberships.Add(membership);
        }
        var period = new ViewPeriod(membership, view, line, trace.Events.Count, trace.LastPeriod);
        if (!isFirst)
        {
            membership.Views[^1].End = period.Start;
            membership.Views[^1].Next = period;
        }
        membership.Views.Add(period);
        view.Installations.Add(period);
        trace.Views.TryAdd(view, period);

        // The oldest member of a view in which everyone is new made the group, unless it took the place of the only one.
        if (isFirst && line.Left.Length == 0 && line.Joined.Length == line.Members.Length && line.Members is [NodeId oldest, ..] && oldest == trace.Node)
        {
            membership.IsCreator = true;
            membership.OwesFromView = 0;
        }
    }

    private void OnLeave(TraceEvent line)
    {
        if (!current.Remove(line.Group ?? "", out Membership? membership))
        {
            trace.StrayLines.Add(line);
            return;
        }
        membership.Views[^1].End = trace.Events.Count;
        membership.LeaveLine = line;
        membership.LeftIn = trace.LastPeriod;
    }

    private void OnState(TraceEvent line)
    {
        if (!current.TryGetValue(line.Group ?? "", out Membership? membership))
        {
            trace.StrayLines.Add(line);
            return;
        }
        if (membership.StateLines.Count == 0)
            membership.StateIndex = trace.Events.Count;
        membership.StateLines.Add((line, trace.Events.Count));
        if (membership.HasState)
            return;
        ViewPeriod view = membership.Views.FindLast(period => period.View.Number == line.ViewNumber) ?? membership.Views[^1];
        membership.OwesFromView = view.Ordinal;
        membership.OwesFromRegular = trace.LastPeriod?.RegularOrdinal ?? 0;
    }

    private void OnSend(TraceEvent line)
    {
        string id = line.Message ?? "";
        ImmutableArray<string> groups = GroupsOf(line);
        var message = new Message(id, line)
        {
            Sender = trace,
            SendIndex = trace.Events.Count,
            SentIn = trace.LastPeriod,
            Groups = groups,
            Views = [.. groups.Select(group => CurrentView(group)?.View)],
            IsFromMember = groups.IsEmpty || groups.Any(current.ContainsKey),
        };
        if (!byId.TryAdd(id, message))
        {
            repeatedSends.Add(line);
            return;
        }
        messages.Add(message);
        trace.Sends.Add(message);
    }

    private void OnDeliver(TraceEvent line)
    {
        ImmutableArray<string> groups = GroupsOf(line);
        var stoodIn = groups.IsEmpty ? [] : new ViewPeriod?[groups.Length];
        // Who gets it as a single process was in none of the groups when it was sent, though it may not have left them yet.
        bool isAlone = line.To.Contains(trace.Node.Name);
        for (int i = 0; i < groups.Length && !isAlone; i++)
            stoodIn[i] = CurrentView(groups[i]);
        trace.Deliveries.Add(new Delivery(trace, trace.Events.Count, line, trace.LastPeriod, stoodIn));
    }

    /// <summary>Who gets a message in one of its groups may have joined another since it was sent: there it is no message of his view.</summary>
    private static void LeaveOutOtherViews(Message message, Delivery delivery)
    {
        if (message.Sender is null || !Array.Exists(message.Views, view => view?.Members.Contains(delivery.Trace.Node) == true))
            return;
        for (int i = 0; i < Math.Min(message.Views.Length, delivery.Views.Length); i++)
        {
            if (message.Views[i]?.Members.Contains(delivery.Trace.Node) == false)
                delivery.Views[i] = null;
        }
    }

    private ViewPeriod? CurrentView(string group) =>
        current.TryGetValue(group, out Membership? membership) ? membership.Views[^1] : null;

    private ImmutableArray<string> GroupsOf(TraceEvent line)
    {
        if (line.Group is null)
            return line.Groups;
        if (!singleGroups.TryGetValue(line.Group, out ImmutableArray<string> single))
            singleGroups.Add(line.Group, single = [line.Group]);
        return single;
    }

    private void LinkDeliveries(List<NodeTrace> traces)
    {
        foreach (Delivery delivery in traces.SelectMany(node => node.Deliveries))
        {
            string id = delivery.Line.Message ?? "";
            if (!byId.TryGetValue(id, out Message? message))
            {
                ImmutableArray<string> groups = GroupsOf(delivery.Line);
                message = new Message(id, delivery.Line) { Groups = groups, Views = new GroupView?[groups.Length] };
                byId.Add(id, message);
                messages.Add(message);
            }
            message.Deliveries.Add(delivery);
            delivery.Message = message;
            LeaveOutOtherViews(message, delivery);
            for (int i = 0; i < Math.Min(message.Views.Length, delivery.Views.Length); i++)
                message.Views[i] ??= delivery.Views[i]?.View;
        }
    }

    private void FormStreams(List<NodeTrace> traces)
    {
        var streams = new Dictionary<(Period?, Order, string?, object), MessageStream>();
        foreach (Message message in traces.SelectMany(node => node.Sends))
        {
            var key = (message.SentIn, ClassOf(message), message.Line.Label, Destinations(message));
            if (!streams.TryGetValue(key, out MessageStream? stream))
                streams.Add(key, stream = new MessageStream());
            stream.Messages.Add(message);
            message.Stream = stream;
            message.StreamIndex = stream.Messages.Count;
        }
    }

    private static Order ClassOf(Message message) => message.IsTotal ? Order.Total : message.Order;

    /// <summary>Equal for messages to the same views of the same groups, and to the same processes.</summary>
    private static object Destinations(Message message)
    {
        if (message.Order == Order.Reliable)
            return message;
        if (message.Views is [GroupView only] && message.Line.To.IsDefaultOrEmpty)
            return only;
        IEnumerable<string> groups = message.Groups.Select((group, i) => $"{group}#{message.Views[i]?.Line.ViewId}").Order(StringComparer.Ordinal);
        return string.Join('\n', groups) + "\n>" + string.Join('\n', message.Line.To.Order(StringComparer.Ordinal));
    }
}

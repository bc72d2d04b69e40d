// A node of a cluster as the application holds it: a thin face of NodeHost.
// Follows: the process group interface of Isis (RFC 992); protocol, sections 5 to 7.
using System.Collections.Immutable;
using Core.Groups.Hosting;
using Core.Groups.Protocol;
using Core.Groups.Tracing;
using Core.Groups.Transport;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Core.Groups;

/// <summary>
/// One node of a cluster: it finds the others, agrees with them on configurations, and takes part in groups. All members
/// may be used from any thread. After the stop, calls end with <see cref="NodeStoppedException"/>.
/// </summary>
public sealed class GroupNode : IAsyncDisposable
{
    private static readonly TimeSpan StopTime = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan HandlerTime = TimeSpan.FromSeconds(2);
    private const int MaximumCredentials = 16 << 10;
    private readonly Lock _stopGate = new();
    private readonly CancellationTokenSource _hurry = new();
    private Task? _stopping;

    internal GroupNode(NodeHost host)
    {
        Host = host;
        host.TakeMigrant = offer => offer.Answer(this);
    }

    /// <summary>Starts a node. It listens and takes commands when this completes; it need not be in a primary configuration yet.</summary>
    /// <exception cref="ArgumentException">An option is wrong, or the listen address would be open to strangers; the message names it.</exception>
    /// <exception cref="IOException">The listen address cannot be used.</exception>
    /// <exception cref="StableStoreException">The stable store cannot be used: it is in use, damaged, or another node's.</exception>
    public static async ValueTask<GroupNode> StartAsync(GroupNodeOptions options, CancellationToken ct = default)
    {
        GroupNode node = Create(options);
        await node.StartAsync(ct).ConfigureAwait(false);
        return node;
    }

    /// <summary>A node that has not started: what is asked of it waits for the start.</summary>
    internal static GroupNode Create(GroupNodeOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        ILogger logger = (options.LoggerFactory ?? NullLoggerFactory.Instance).CreateLogger("Core.Groups");
        var self = new NodeId(options.Name, NodeHost.UnixMilliseconds());
        return new GroupNode(new NodeHost(options, logger, self, options.CreateTransport(self, logger), OpenTrace));

        TraceFile? OpenTrace(NodeId id) =>
            options.TracePath is null ? null : TraceFile.Open(options.TracePath, id, problem => HostLog.TraceFailed(logger, problem));
    }

    /// <summary>Once, of a node that was created without a start.</summary>
    internal async ValueTask StartAsync(CancellationToken ct)
    {
        try
        {
            await Host.StartAsync(ct).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            Host.End(e, abort: true);
            throw;
        }
    }

    /// <summary>The configured name.</summary>
    public string Name => Host.Options.Name;

    /// <summary>The id of the present incarnation: it changes when the node was excluded.</summary>
    public NodeId Id => Host.Self;

    /// <summary>The address at which the others reach this node, <c>host:port</c>, with the actual port.</summary>
    public string ListenAddress => Host.Address;

    /// <summary>The present configuration; null until this incarnation has its first.</summary>
    public Configuration? Configuration => Host.Status.Configuration;

    /// <summary>Whether the node waits for a primary configuration: nothing is sent or delivered meanwhile.</summary>
    public bool IsBlocked => Host.Status.IsBlocked;

    /// <summary>The nodes that can be reached now, this one included. While the node is blocked they can differ from the members.</summary>
    public ImmutableArray<NodeId> Reachable => Host.Inspect((machine, _) => machine?.Reachable ?? []);

    /// <summary>The node's stable store; null if it has none. The node keeps the values <c>node</c> and <c>votes</c> in it.</summary>
    public IStableStore? StableStore => Host.Memory?.Store;

    /// <summary>The addresses of the electorate (<see cref="GroupNodeOptions.Seeds"/>); empty: there is none.</summary>
    public ImmutableArray<string> Seeds => [.. Host.Options.Seeds.Select(HostPort.Normalise)];

    /// <summary>Whether this node is one of the seeds.</summary>
    public bool IsElector => Seeds.Contains(HostPort.Normalise(ListenAddress));

    /// <summary>The members of the present configuration, ranked by age.</summary>
    public ImmutableArray<NodeInfo> Members => Host.Status.Members;

    /// <summary>
    /// Ends when the node has stopped. Faults with <see cref="NameTakenException"/> if a live node has the name, with
    /// <see cref="StableStoreException"/> if the stable store failed, or with the error of the protocol if that failed (a defect of this library).
    /// </summary>
    public Task Completion => Host.Completion;

    /// <summary>
    /// Every trace event, in the node's own order and before the handlers see what it tells of. Raised on the event loop: an
    /// observer must be quick, and what it throws is logged. The first events may come before anyone can subscribe: see
    /// <see cref="GroupNodeOptions.Traced"/>.
    /// </summary>
    /// <exception cref="InvalidOperationException">Tracing is off: set TracePath or Traced in the options.</exception>
    public event Action<TraceEvent>? Traced
    {
        add
        {
            Host.RequireTracing();
            lock (_stopGate)
            {
                Host.TraceObserver += value;
            }
        }
        remove
        {
            lock (_stopGate)
            {
                Host.TraceObserver -= value;
            }
        }
    }

    internal NodeHost Host { get; }

    /// <summary>
    /// The configurations, the present one first. Ends when the node stops. In extended mode the transitional ones are among them
    /// (<see cref="Configuration.IsTransitional"/>): those members of the regular one before that go on together to the next.
    /// </summary>
    public IAsyncEnumerable<Configuration> Configurations(CancellationToken ct = default) => Host.Status.ReadConfigurations(ct);

    /// <summary>Waits until the node is in a primary configuration and works.</summary>
    /// <exception cref="NodeStoppedException">The node stopped before.</exception>
    public ValueTask WaitForPrimaryAsync(CancellationToken ct = default) => Host.Status.WaitForPrimaryAsync(ct);

    /// <summary>
    /// An operator's act after a loss that no rule can heal: the nodes that this one reaches begin a new lineage of primaries,
    /// on the newest state that any of them has. Completes when this node works; until then it is tried again.
    /// </summary>
    /// <remarks>
    /// Use it only when those that are missing are lost. If they live on elsewhere, there are two primaries until the two
    /// meet; then the forced one goes on, and the others learn that theirs has ended (<see cref="ExcludedException.LineageEnded"/>).
    /// It is logged as a warning. The changes that follow are bound by the rules again; where the forced primary has less than
    /// the minimum weight, it goes on with as much as it has.
    /// </remarks>
    /// <param name="ct">Gives it up; it may happen all the same.</param>
    /// <exception cref="InvalidOperationException">The node is in a primary configuration: there is nothing to force.</exception>
    /// <exception cref="ExcludedException">The incarnation ended before; the next one may be blocked no longer.</exception>
    /// <exception cref="NodeStoppedException">The node has stopped.</exception>
    public async ValueTask ForcePrimaryAsync(CancellationToken ct = default) => await Host.CallAsync(
        call => new NodeInput { Kind = InputKind.ForcePrimary, Call = call.Number, Generation = call.Generation }, Name, ct).ConfigureAwait(false);

    /// <summary>
    /// Waits until the node is blocked: it has lost the others, and they may go on without it. Who holds a role or a lock gives it
    /// up here, rather than when the exclusion is known.
    /// </summary>
    /// <exception cref="NodeStoppedException">The node stopped before.</exception>
    public ValueTask WaitForBlockedAsync(CancellationToken ct = default) => Host.Status.WaitForBlockedAsync(ct);

    /// <summary>
    /// Joins a group, and creates it if it is not there. Completes when the first view and the state are here. While the
    /// node is blocked this waits.
    /// </summary>
    /// <param name="name">
    /// The group's path name (see <see cref="GroupName"/>), or the text of its <see cref="GroupId"/>: then the group must be there, and no
    /// other one of the same name is joined.
    /// </param>
    /// <param name="options">State transfer and handlers; null: none.</param>
    /// <param name="ct">Withdraws the join; the node leaves again if it was taken in meanwhile.</param>
    /// <exception cref="ArgumentException">The name is none.</exception>
    /// <exception cref="JoinRefusedException">A member refused this node's credentials, or the group resides at another site.</exception>
    /// <exception cref="GroupNotFoundException">There is no group of this id.</exception>
    /// <exception cref="AlreadyMemberException">This node is a member already, or is joining.</exception>
    /// <exception cref="StateTransferException">The state could not be saved or loaded; the join was undone.</exception>
    /// <exception cref="ExcludedException">The incarnation ended during the join.</exception>
    /// <exception cref="NodeStoppedException">The node has stopped.</exception>
    public async ValueTask<ProcessGroup> JoinAsync(string name, GroupOptions? options = null, CancellationToken ct = default)
    {
        ArgumentNullException.ThrowIfNull(name);
        if (GroupId.TryParse(name, out GroupId id))
        {
            name = (await FindGroupAsync(name, ct).ConfigureAwait(false) ?? throw new GroupNotFoundException(name)).Name;
        }

        GroupName.Validate(name);
        options ??= new GroupOptions();
        if (options.Credentials.Length > MaximumCredentials)
        {
            throw new ArgumentException($"GroupOptions.Credentials must have at most {MaximumCredentials} bytes.", nameof(options));
        }

        options.Validate(name, Host.Options.Mode);
        var group = new ProcessGroup(this, name, options, id);
        options.Configure?.Invoke(group);
        await Host.JoinAsync(group.Membership, ct).ConfigureAwait(false);
        return group;
    }

    /// <summary>Looks a group up in the cluster's registry; waits while the node is blocked.</summary>
    /// <param name="group">The group's name, or the text of its id.</param>
    /// <param name="ct">Withdraws the question.</param>
    /// <returns>Null: there is no such group.</returns>
    /// <exception cref="ArgumentException">The name is none.</exception>
    /// <exception cref="ExcludedException">The incarnation ended.</exception>
    /// <exception cref="NodeStoppedException">The node has stopped.</exception>
    public async ValueTask<GroupInfo?> FindGroupAsync(string group, CancellationToken ct = default)
    {
        CheckAddress(group);
        return (GroupInfo?)(await AskAsync(InputKind.FindGroup, group, ct).ConfigureAwait(false)).Found;
    }

    /// <summary>The names of the groups of the cluster, in order; waits while the node is blocked.</summary>
    /// <param name="prefix">How they begin: <c>/analysis/</c>, <c>@NewYork:</c>; empty: all.</param>
    /// <param name="ct">Withdraws the question.</param>
    /// <exception cref="ExcludedException">The incarnation ended.</exception>
    /// <exception cref="NodeStoppedException">The node has stopped.</exception>
    public async ValueTask<IReadOnlyList<string>> ListGroupsAsync(string prefix = "", CancellationToken ct = default)
    {
        ArgumentNullException.ThrowIfNull(prefix);
        if (prefix.Length > GroupName.MaximumLength)
        {
            return [];
        }

        return (IReadOnlyList<string>)(await AskAsync(InputKind.ListGroups, prefix, ct).ConfigureAwait(false)).Found!;
    }

    /// <summary>
    /// Watches nodes: who joins the configuration, leaves it of its own will, or fails. All nodes that go from one configuration to the
    /// next see the same events in the same order. Begins with the call, not with the first step of the enumeration.
    /// </summary>
    /// <param name="name">The name of one node; null: all.</param>
    /// <param name="ct">Ends the watch.</param>
    /// <returns>The events; they end when this node stops.</returns>
    public IAsyncEnumerable<WatchEvent> WatchNodes(string? name = null, CancellationToken ct = default) => Host.Watches.OfNodes(name, ct);

    /// <summary>
    /// Watches a group, as a member or not: who joins, leaves, or fails. All that watch see the same events in the order of the
    /// group's views, also across failures; who was cut off for longer than the members remember sees the difference.
    /// </summary>
    /// <param name="group">The group's name, or the text of its id.</param>
    /// <param name="ct">Withdraws the call; later it ends the watch.</param>
    /// <returns>
    /// The events from now on: the watch has begun when this completes. They end when the group has (after the events of its last
    /// members), and with <see cref="ExcludedException"/> or <see cref="NodeStoppedException"/> when this incarnation does.
    /// </returns>
    /// <exception cref="GroupNotFoundException">There is no such group.</exception>
    /// <exception cref="ExcludedException">The incarnation ended.</exception>
    /// <exception cref="NodeStoppedException">The node has stopped.</exception>
    public ValueTask<IAsyncEnumerable<WatchEvent>> WatchGroupAsync(string group, CancellationToken ct = default)
    {
        CheckAddress(group);
        return Host.Watches.OfGroupAsync(Host, group, ct);
    }

    /// <summary>
    /// Deletes a group: all its members leave it at one place among its messages, and get <see cref="GroupDeletedException"/> from then on.
    /// Completes when a member has left so, and the others will, and nobody who asks from then on finds the group. Anybody may do it who knows it.
    /// </summary>
    /// <param name="group">The group's name, or the text of its id.</param>
    /// <param name="ct">Ends the wait; what was asked for may still happen.</param>
    /// <exception cref="GroupNotFoundException">There is no such group.</exception>
    /// <exception cref="ExcludedException">The incarnation ended; see OutcomeUnknown.</exception>
    /// <exception cref="NodeStoppedException">The node has stopped; see OutcomeUnknown.</exception>
    public async ValueTask DeleteGroupAsync(string group, CancellationToken ct = default)
    {
        CheckAddress(group);
        await AskAsync(InputKind.DeleteGroup, group, ct).ConfigureAwait(false);
    }

    /// <summary>
    /// Asks the processes of a group's members to end: each application does what it chose (<see cref="GroupOptions.OnKill"/>).
    /// Completes when all members have been told, at one place among the group's messages.
    /// </summary>
    /// <param name="group">The group's name, or the text of its id.</param>
    /// <param name="reason">Why, for the applications and their logs; at most 1,000 characters.</param>
    /// <param name="ct">Ends the wait; what was asked for may still happen.</param>
    /// <remarks>Errors as for <see cref="SendAsync"/>.</remarks>
    public async ValueTask KillAsync(string group, string reason, CancellationToken ct = default)
    {
        ArgumentNullException.ThrowIfNull(reason);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(reason.Length, 1000, nameof(reason));
        await CallByNameAsync(group, Order.Total, Envelope.PackKill(reason), Replies.None, null, ct).ConfigureAwait(false);
    }

    /// <summary>
    /// One multicast in the union of several groups and single processes: each destination gets it once, at the same place in
    /// each group's order (RFC 992, section 6). A node that is in several of the groups handles it in one of them. This node
    /// must be a member of all the groups. Completes when the message is numbered and handed to the links; waits for credit in
    /// every group, for joins and GBCASTs under way in them, and while the node is blocked.
    /// </summary>
    /// <param name="groups">Groups of this node; may be empty if <paramref name="to"/> is not.</param>
    /// <param name="order">Any primitive. A GBCAST (<see cref="Order.Group"/>) makes all the groups stand still together: it is at one place among all messages to any of them and all their views. To processes alone it goes as <see cref="Order.CausalTotal"/>.</param>
    /// <param name="body">The message; copied.</param>
    /// <param name="label">
    /// For the total orders: messages with the same label stand in one order at all nodes, whatever their groups, and in no
    /// order with others. Null: in one order with the messages of each group, and with all others to several destinations.
    /// </param>
    /// <param name="to">Nodes that get it as single processes (<see cref="GroupNodeOptions.OnMessage"/>), unless they are in one of the groups. Those that are not in the configuration are passed over.</param>
    /// <param name="ct">Withdraws the call if it still waits; the message may have been sent all the same.</param>
    /// <returns>The id under which the members and the trace see the message.</returns>
    /// <exception cref="ArgumentException">A group of another node, no destination, or a label with an order that is not total.</exception>
    /// <exception cref="NotMemberException">One of the memberships is over.</exception>
    /// <exception cref="MessageTooLargeException">The body is larger than the limit.</exception>
    /// <exception cref="OverdraftException">A handler of one of the groups sent more than twice its credit window.</exception>
    /// <exception cref="ExcludedException">The incarnation ended; see OutcomeUnknown.</exception>
    /// <exception cref="NodeStoppedException">The node has stopped; see OutcomeUnknown.</exception>
    public ValueTask<MessageId> MulticastAsync(
        IReadOnlyCollection<ProcessGroup> groups, Order order, ReadOnlyMemory<byte> body, string? label = null, IReadOnlyCollection<NodeId>? to = null, CancellationToken ct = default) =>
        SpreadCall.SendAsync(Host, groups, order, Envelope.Pack(body.Span), label, to, ct);

    /// <summary>As the multicast in bytes, with an object.</summary>
    /// <inheritdoc cref="MulticastAsync(IReadOnlyCollection{ProcessGroup}, Order, ReadOnlyMemory{byte}, string?, IReadOnlyCollection{NodeId}?, CancellationToken)"/>
    public ValueTask<MessageId> MulticastAsync<T>(
        IReadOnlyCollection<ProcessGroup> groups, T message, Order order, string? label = null, IReadOnlyCollection<NodeId>? to = null, CancellationToken ct = default) =>
        SpreadCall.SendAsync(Host, groups, order, Envelope.Pack(message, Host.Options.Serializer), label, to, ct);

    /// <summary>
    /// Multicasts a request in the union of several groups, of which this node is a member, or with a label, and waits for replies: each member
    /// handles it once, and answers once, whichever of the groups it is in (RFC 992, section 6).
    /// </summary>
    /// <param name="groups">At least one group of this node.</param>
    /// <param name="order">Any primitive but <see cref="Order.Group"/>.</param>
    /// <param name="body">The request; copied.</param>
    /// <param name="replies">How many replies to wait for, of all members together.</param>
    /// <param name="label">As for the multicast.</param>
    /// <param name="timeout">Null: no limit but the members' failures.</param>
    /// <param name="ct">Withdraws the call; the request may have been delivered.</param>
    /// <exception cref="TimeoutException">The time was over before enough replies came.</exception>
    /// <exception cref="InvalidOperationException">Called inside a handler of one of the groups, whose own reply would be needed.</exception>
    /// <remarks>Further errors as for <see cref="MulticastAsync(IReadOnlyCollection{ProcessGroup}, Order, ReadOnlyMemory{byte}, string?, IReadOnlyCollection{NodeId}?, CancellationToken)"/>.</remarks>
    public async ValueTask<GroupReplies> RequestAsync(
        IReadOnlyCollection<ProcessGroup> groups, Order order, ReadOnlyMemory<byte> body, Replies replies, string? label = null, TimeSpan? timeout = null, CancellationToken ct = default) =>
        (await SpreadCall.RequestAsync(Host, groups, order, Envelope.Pack(body.Span), replies, label, timeout, ct).ConfigureAwait(false)).ToReplies();

    /// <summary>As the request in bytes, with objects.</summary>
    /// <inheritdoc cref="RequestAsync(IReadOnlyCollection{ProcessGroup}, Order, ReadOnlyMemory{byte}, Replies, string?, TimeSpan?, CancellationToken)"/>
    public async ValueTask<GroupReplies<TReply>> RequestAsync<TRequest, TReply>(
        IReadOnlyCollection<ProcessGroup> groups, TRequest request, Replies replies, Order order = Order.Fifo, string? label = null, TimeSpan? timeout = null, CancellationToken ct = default) =>
        (await SpreadCall.RequestAsync(Host, groups, order, Envelope.Pack(request, Host.Options.Serializer), replies, label, timeout, ct).ConfigureAwait(false))
            .ToReplies<TReply>(Host.Options.Serializer);

    /// <summary>
    /// Asks the journals of the members of several groups (<see cref="GroupOptions.Journal"/>) at one instant: a GBCAST to all the groups. Their answers are
    /// not collected. For those who write journals.
    /// </summary>
    /// <inheritdoc cref="MulticastAsync(IReadOnlyCollection{ProcessGroup}, Order, ReadOnlyMemory{byte}, string?, IReadOnlyCollection{NodeId}?, CancellationToken)"/>
    public ValueTask<MessageId> TellJournalsAsync(IReadOnlyCollection<ProcessGroup> groups, ReadOnlyMemory<byte> question, CancellationToken ct = default) =>
        SpreadCall.SendAsync(Host, groups, Order.Group, Envelope.PackQuestion(question.Span), label: null, to: null, ct);

    /// <summary>
    /// Multicasts to a group as a caller that is not a member. Completes when all members have delivered the message: no
    /// failure short of all of them loses it any more.
    /// </summary>
    /// <returns>The id under which the members and the trace see the message: the member that passed it on has numbered it.</returns>
    /// <exception cref="GroupNotFoundException">There is no such group.</exception>
    /// <exception cref="MessageTooLargeException">The body is larger than the limit.</exception>
    /// <exception cref="ExcludedException">The incarnation ended; see OutcomeUnknown.</exception>
    /// <exception cref="NodeStoppedException">The node has stopped; see OutcomeUnknown.</exception>
    /// <param name="groupName">The group's name, or the text of its id.</param>
    /// <param name="order">The primitive.</param>
    /// <param name="body">The message; copied.</param>
    /// <param name="ct">Withdraws the call; the message may have been sent.</param>
    public async ValueTask<MessageId> SendAsync(string groupName, Order order, ReadOnlyMemory<byte> body, CancellationToken ct = default) =>
        (await CallByNameAsync(groupName, order, Envelope.Pack(body.Span), Replies.None, null, ct).ConfigureAwait(false)).Message;

    /// <summary>Multicasts a request to a group (its name, or the text of its id) as a caller that is not a member, and waits for replies.</summary>
    /// <exception cref="TimeoutException">The time was over before enough replies came.</exception>
    /// <remarks>Further errors as for <see cref="SendAsync"/>.</remarks>
    public async ValueTask<GroupReplies> RequestAsync(string groupName, Order order, ReadOnlyMemory<byte> body, Replies replies, TimeSpan? timeout = null, CancellationToken ct = default)
    {
        RefuseWaitForSelf(groupName, replies);
        return (await CallByNameAsync(groupName, order, Envelope.Pack(body.Span), replies, timeout, ct).ConfigureAwait(false)).ToReplies();
    }

    /// <summary>As the request in bytes, with objects.</summary>
    /// <inheritdoc cref="RequestAsync(string, Order, ReadOnlyMemory{byte}, Replies, TimeSpan?, CancellationToken)"/>
    public async ValueTask<GroupReplies<TReply>> RequestAsync<TRequest, TReply>(
        string groupName, TRequest request, Replies replies, Order order = Order.Fifo, TimeSpan? timeout = null, CancellationToken ct = default)
    {
        RefuseWaitForSelf(groupName, replies);
        return (await CallByNameAsync(groupName, order, Envelope.Pack(request, Host.Options.Serializer), replies, timeout, ct).ConfigureAwait(false))
            .ToReplies<TReply>(Host.Options.Serializer);
    }

    /// <summary>As the request in bytes, to an entry point by name or number.</summary>
    /// <inheritdoc cref="RequestAsync(string, Order, ReadOnlyMemory{byte}, Replies, TimeSpan?, CancellationToken)"/>
    public async ValueTask<GroupReplies> RequestEntryAsync(
        string groupName, EntryAddress entry, Order order, ReadOnlyMemory<byte> body, Replies replies, TimeSpan? timeout = null, CancellationToken ct = default)
    {
        RefuseWaitForSelf(groupName, replies);
        return (await CallByNameAsync(groupName, order, Envelope.Pack(entry, body.Span), replies, timeout, ct).ConfigureAwait(false)).ToReplies();
    }

    // By name or by id: inside a handler of that group the call would wait for the handler's own reply.
    private void RefuseWaitForSelf(string group, Replies replies)
    {
        if (HandlerScope.Group is { } inside && inside.Node == this && (inside.Name == group || (GroupId.TryParse(group, out GroupId id) && id == inside.Id)))
        {
            inside.Membership.RefuseWaitForSelf(replies);
        }
    }

    /// <summary>
    /// The barrier before an external effect (RFC 992, section 6.6): waits until everything that this node was asked to send
    /// before, in any group, has left, and that and everything that it has delivered is stable.
    /// </summary>
    /// <exception cref="ExcludedException">The incarnation ended before.</exception>
    /// <exception cref="NodeStoppedException">The node has stopped.</exception>
    public async ValueTask FlushAsync(CancellationToken ct = default) => await Host.CallAsync(
        call => new NodeInput { Kind = InputKind.Flush, Call = call.Number, Generation = call.Generation }, Name, ct).ConfigureAwait(false);

    /// <summary>Counters of the present incarnation. Waits for the end of a turn of the event loop, some microseconds.</summary>
    public NodeStatistics GetStatistics() => Host.Inspect((machine, groups) =>
    {
        MachineStatistics s = machine?.Statistics ?? default;
        return new NodeStatistics(s.Sent, s.Delivered, s.DeliveredBytes, s.Unstable, s.Queued, s.FramesSent, s.FramesReceived, s.BytesSent, s.BytesReceived)
        {
            Waiting = groups.Sum(g => (long)g.Mailbox.Waiting),
            Undecodable = Host.Counters.Undecodable,
            HandlerErrors = Host.Counters.HandlerErrors,
        };
    });

    /// <summary>
    /// Stops in order: leaves the groups, lets the handlers finish, and says goodbye. What cannot be had in a few seconds
    /// is given up: the node then ends as a crash looks to the others. Stopping twice is stopping once.
    /// </summary>
    /// <param name="ct">Gives up the orderly stop at once.</param>
    public async ValueTask StopAsync(CancellationToken ct = default)
    {
        Task stopping;
        lock (_stopGate)
        {
            stopping = _stopping ??= StopOnceAsync();
        }

        using (ct.UnsafeRegister(static hurry => ((CancellationTokenSource)hurry!).Cancel(), _hurry))
        {
            await stopping.ConfigureAwait(false);
        }
    }

    /// <summary>Ends at once, without a goodbye, as a crash: connections are reset, and the trace says that it was deliberate.</summary>
    public void Crash() => Host.End(null, abort: true, writeFail: true);

    /// <summary>As <see cref="StopAsync"/>.</summary>
    public ValueTask DisposeAsync() => StopAsync();

    private async Task StopOnceAsync()
    {
        Host.Loop.Post(new NodeInput { Kind = InputKind.Stop, Generation = NodeInput.AnyGeneration });
        try
        {
            await Task.WhenAny(Host.MachineStopped, Host.Completion).WaitAsync(StopTime, _hurry.Token).ConfigureAwait(false);
            if (HandlerScope.Group?.Node != this)
            {
                await Host.WhenHandled().WaitAsync(HandlerTime, _hurry.Token).ConfigureAwait(false);
            }
        }
        catch (Exception e) when (e is TimeoutException or OperationCanceledException)
        {
            HostLog.StopTimedOut(Host.Logger, Id);
        }

        Host.End(null, abort: false);
        await Host.Completion.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private ValueTask<CallResult> AskAsync(InputKind question, string text, CancellationToken ct) => Host.CallAsync(
        call => new NodeInput { Kind = question, Call = call.Number, Generation = call.Generation, Subject = text }, text, ct);

    internal static void CheckAddress(string group)
    {
        if (!GroupId.TryParse(group, out _))
        {
            GroupName.Validate(group);
        }
    }

    private ValueTask<CallResult> CallByNameAsync(string groupName, Order order, ReadOnlyMemory<byte> packed, Replies replies, TimeSpan? timeout, CancellationToken ct)
    {
        CheckAddress(groupName);
        Host.Check(order, packed, timeout);
        return Host.CallAsync(
            call => new NodeInput
            {
                Kind = InputKind.RequestByName, Call = call.Number, Generation = call.Generation, Subject = groupName, Order = order, Body = packed,
                Mode = replies.ToMode(), Number = replies.Number, Timeout = timeout,
            },
            groupName, ct);
    }
}

// This node's membership of a group: what the application holds in its hand.
// Keeps: everything that handlers see comes in the group's delivery order; the object outlives a forced re-join.
// Follows: the process group interface of Isis (RFC 992; "Exploiting virtual synchrony", section 4).
using Core.Groups.Hosting;

namespace Core.Groups;

/// <summary>
/// This node's membership of a group. All members may be used from any thread. Handlers, <see cref="GroupOptions.OnView"/>
/// and the state callbacks run one at a time, on the thread pool, in delivery order; one that throws is logged, and the
/// next one goes on. Awaiting inside a handler holds up the group's next delivery at this node.
/// </summary>
public sealed class ProcessGroup : IAsyncDisposable
{
    /// <summary>The most characters that a key and a value of the configuration data have together.</summary>
    public const int MaximumEntry = 16 << 10;

    private readonly EntryPoints _entries;
    private readonly GroupMembership _membership;
    private readonly bool _isLogged;

    internal ProcessGroup(GroupNode node, string name, GroupOptions options, GroupId expected)
    {
        Node = node;
        Name = name;
        _isLogged = options.Journal is not null;
        _entries = new EntryPoints(node.Host.Options.Serializer);
        _membership = new GroupMembership(node.Host, this, options, _entries, expected);
    }

    /// <summary>The group's path name.</summary>
    public string Name { get; }

    /// <summary>The group's id; of the last membership, if that is over. <see cref="GroupId.None"/> before the join.</summary>
    public GroupId Id => _membership.Id;

    /// <summary>
    /// The view in which the present message is delivered: it changes in delivery order, between handlers. Before the first
    /// view: number 0, without members.
    /// </summary>
    public View View => _membership.View;

    /// <summary>The group's configuration data, in which the present message is delivered: it changes in delivery order. Immutable.</summary>
    public IReadOnlyDictionary<string, string> Configuration => _membership.Configuration;

    /// <summary>The node whose membership this is.</summary>
    public GroupNode Node { get; }

    /// <summary>This node's rank in <see cref="View"/>: 0 is the oldest member; -1 if it is not in it.</summary>
    public int Rank => View.RankOf(Node.Id);

    /// <summary>Whether the caller runs inside a handler of this group: there it must not wait for what the group delivers next.</summary>
    public bool IsInHandler => HandlerScope.Group == this;

    /// <summary>Cancelled when this membership is over: left, deleted, excluded, or the node stopped. A re-join brings a new token.</summary>
    public CancellationToken Ended => _membership.Ended;

    /// <summary>
    /// Ends when this node is no member any more, for good: left, deleted, or the node stopped (not: excluded and about to join
    /// again), and the last handler has run.
    /// </summary>
    public Task Completion => _membership.Over;

    /// <summary>
    /// Raised when the group was joined again after an exclusion, with the view and the transferred state in place; in
    /// delivery order, before the first message. What it throws is logged.
    /// </summary>
    public event Action<View>? Rejoined;

    /// <summary>
    /// The default entry: messages sent as bytes. Deliveries are held, with the senders' credit, until a handler is
    /// registered or <see cref="IgnoreMessages"/> is called.
    /// </summary>
    /// <exception cref="InvalidOperationException">There is one already.</exception>
    public void OnMessage(Func<GroupMessage, ValueTask> handler) => Register(handler, _entries.Add);

    /// <summary>An entry point for messages of a type; the type's full name must be the same at all members.</summary>
    /// <exception cref="InvalidOperationException">There is one for this type already.</exception>
    public void On<T>(Func<T, GroupMessage, ValueTask> handler) => Register(handler, _entries.Add);

    /// <summary>Requests sent as bytes: the result is the reply. What it throws, the caller gets as an error reply.</summary>
    /// <exception cref="InvalidOperationException">There is one already.</exception>
    public void OnRequest(Func<GroupMessage, ValueTask<ReadOnlyMemory<byte>>> handler) => Register(handler, _entries.AddRequest);

    /// <summary>An entry point for requests of a type. What it throws, the caller gets as an error reply.</summary>
    /// <exception cref="InvalidOperationException">There is one for this type already.</exception>
    public void OnRequest<TRequest, TReply>(Func<TRequest, GroupMessage, ValueTask<TReply>> handler) => Register(handler, _entries.AddRequest);

    /// <summary>Registers the handler of an entry point by name or number. See <see cref="OnMessage(Func{GroupMessage, ValueTask})"/>.</summary>
    /// <param name="entry">A name or a number.</param>
    /// <param name="handler">Called in delivery order, with the body as it was sent.</param>
    /// <exception cref="ArgumentException">The entry point has neither name nor number.</exception>
    /// <exception cref="InvalidOperationException">There is a handler for it already.</exception>
    public void OnEntry(EntryAddress entry, Func<GroupMessage, ValueTask> handler) => Register(handler, h => _entries.Add(entry, h));

    /// <summary>Registers the handler of requests to an entry point by name or number.</summary>
    /// <param name="entry">A name or a number.</param>
    /// <param name="handler">Called in delivery order; gives the reply.</param>
    /// <exception cref="ArgumentException">The entry point has neither name nor number.</exception>
    /// <exception cref="InvalidOperationException">There is a handler for it already.</exception>
    public void OnEntryRequest(EntryAddress entry, Func<GroupMessage, ValueTask<ReadOnlyMemory<byte>>> handler) => Register(handler, h => _entries.AddRequest(entry, h));

    /// <summary>Multicasts raw bytes to an entry point by name or number.</summary>
    /// <inheritdoc cref="SendAsync(Order, ReadOnlyMemory{byte}, CancellationToken)"/>
    public ValueTask SendEntryAsync(EntryAddress entry, Order order, ReadOnlyMemory<byte> body, CancellationToken ct = default) =>
        _membership.SendAsync(order, Envelope.Pack(entry, body.Span), ct);

    /// <summary>Multicasts a request to an entry point by name or number, and waits for replies.</summary>
    /// <inheritdoc cref="RequestAsync(Order, ReadOnlyMemory{byte}, Replies, TimeSpan?, CancellationToken)"/>
    public async ValueTask<GroupReplies> RequestEntryAsync(EntryAddress entry, Order order, ReadOnlyMemory<byte> body, Replies replies, TimeSpan? timeout = null, CancellationToken ct = default) =>
        (await _membership.RequestAsync(order, Envelope.Pack(entry, body.Span), replies, timeout, ct).ConfigureAwait(false)).ToReplies();

    /// <summary>Says that messages without a handler are meant to be passed over: they are neither held nor logged.</summary>
    public void IgnoreMessages()
    {
        _entries.IgnoreMessages();
        _membership.HandlersChanged();
    }

    /// <summary>The views in delivery order, the present one first. Ends when the membership is over for good.</summary>
    public IAsyncEnumerable<View> Views(CancellationToken ct = default) => _membership.ReadViews(ct);

    /// <summary>
    /// Multicasts bytes to the members. Completes when the message is accepted: it waits only for credit, and inside a
    /// handler of this group not even for that. The memory is copied.
    /// </summary>
    /// <exception cref="NotMemberException">The membership is over.</exception>
    /// <exception cref="GroupDeletedException">The group was deleted.</exception>
    /// <exception cref="ExcludedException">The group is being joined again after an exclusion.</exception>
    /// <exception cref="MessageTooLargeException">The body is larger than the limit.</exception>
    /// <exception cref="OverdraftException">A handler of this group sent more than twice the credit window.</exception>
    /// <exception cref="NodeStoppedException">The node has stopped.</exception>
    public ValueTask SendAsync(Order order, ReadOnlyMemory<byte> body, CancellationToken ct = default) =>
        _membership.SendAsync(order, Envelope.Pack(body.Span), ct);

    /// <summary>
    /// As <see cref="SendAsync"/>, but completes when the message was numbered and handed to the links, and gives its id: the
    /// one that the members and the trace see. Waits while the node is blocked, and while something stands before the message.
    /// </summary>
    public ValueTask<MessageId> SendTracedAsync(Order order, ReadOnlyMemory<byte> body, CancellationToken ct = default) =>
        _membership.SendTracedAsync(order, Envelope.Pack(body.Span), ct);

    /// <summary>MBCAST of a typed message: reliable, in no order. Errors as for <see cref="SendAsync"/>.</summary>
    public ValueTask ReliableAsync<T>(T message, CancellationToken ct = default) => SendAsync(Order.Reliable, message, ct);

    /// <summary>FBCAST of a typed message: in the sender's order. Errors as for <see cref="SendAsync"/>.</summary>
    public ValueTask FifoAsync<T>(T message, CancellationToken ct = default) => SendAsync(Order.Fifo, message, ct);

    /// <summary>CBCAST of a typed message: after its causal past. Errors as for <see cref="SendAsync"/>.</summary>
    public ValueTask CausalAsync<T>(T message, CancellationToken ct = default) => SendAsync(Order.Causal, message, ct);

    /// <summary>ABCAST of a typed message: in one order at all members. Errors as for <see cref="SendAsync"/>.</summary>
    public ValueTask TotalAsync<T>(T message, CancellationToken ct = default) => SendAsync(Order.Total, message, ct);

    /// <summary>
    /// ABCAST with a label: messages with the same label stand in one order at all nodes, whatever their groups, and in no
    /// order with others. Completes when it is numbered. Errors as for <see cref="GroupNode.MulticastAsync"/>.
    /// </summary>
    public async ValueTask TotalAsync<T>(T message, string label, CancellationToken ct = default)
    {
        ArgumentNullException.ThrowIfNull(label);
        await Node.MulticastAsync([this], message, Order.Total, label, to: null, ct).ConfigureAwait(false);
    }

    /// <summary>CABCAST of a typed message: in one order at all members, and after its causal past. Errors as for <see cref="SendAsync"/>.</summary>
    public ValueTask CausalTotalAsync<T>(T message, CancellationToken ct = default) => SendAsync(Order.CausalTotal, message, ct);

    /// <summary>
    /// A safe message (EVS, specification 7): as <see cref="CausalTotalAsync"/>, and no member delivers it before all members
    /// have it and its causal past: what a handler sees can only be lost with all of them. Errors as for <see cref="SendAsync"/>.
    /// </summary>
    public ValueTask SafeAsync<T>(T message, CancellationToken ct = default) => SendAsync(Order.Safe, message, ct);

    /// <summary>
    /// GBCAST of a typed message (RFC 992, section 6): at one place among all messages of the group, whatever their kind, and
    /// all its views. The group stands still meanwhile (calls wait), about three times as long as a message travels; calls of
    /// several members made at once share one halt. Errors as for <see cref="SendAsync"/>.
    /// </summary>
    public ValueTask GroupAsync<T>(T message, CancellationToken ct = default) => SendAsync(Order.Group, message, ct);

    /// <summary>
    /// Sets an entry of the group's configuration data, such as who does which part of the work: one event at every member, at
    /// one place among all messages and views ("Exploiting virtual synchrony", section 3.2). It is passed on to joiners.
    /// Completes when it is delivered to this member; <see cref="GroupOptions.OnConfigured"/> follows.
    /// </summary>
    /// <param name="key">Not empty; with the value at most <see cref="MaximumEntry"/> characters.</param>
    /// <param name="value">Null removes the entry.</param>
    /// <param name="ct">Withdraws the call if it still waits; it may have its effect all the same.</param>
    /// <exception cref="ArgumentException">The key is empty, or the entry is too long.</exception>
    /// <exception cref="NotMemberException">The membership is over.</exception>
    /// <exception cref="ExcludedException">The incarnation ended; see OutcomeUnknown.</exception>
    /// <exception cref="NodeStoppedException">The node has stopped; see OutcomeUnknown.</exception>
    public async ValueTask ConfigureAsync(string key, string? value, CancellationToken ct = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(key);
        if (key.Length + (value?.Length ?? 0) > MaximumEntry)
        {
            throw new ArgumentException($"An entry of the configuration data has at most {MaximumEntry} characters. Keep what is larger in the group's state.", nameof(value));
        }

        await _membership.CallFreeAsync(InputKind.Configure, new ConfigurationEntry(key, value), ct).ConfigureAwait(false);
    }

    /// <summary>
    /// Ranks the members anew: a view with the same members in another order, one event at every member (by GBCAST).
    /// Completes when this member has it. Errors as for <see cref="ConfigureAsync"/>.
    /// </summary>
    /// <param name="ranking">The members, the first (rank 0) first. Who is not named follows, ranked as before; who is no member is passed over.</param>
    /// <param name="ct">Withdraws the call if it still waits; it may have its effect all the same.</param>
    public async ValueTask RankAsync(IEnumerable<NodeId> ranking, CancellationToken ct = default)
    {
        ArgumentNullException.ThrowIfNull(ranking);
        await _membership.CallFreeAsync(InputKind.Rank, ranking.ToArray(), ct).ConfigureAwait(false);
    }

    /// <summary>
    /// Moves this membership to another node: that node joins and this one leaves in one view ("Exploiting virtual synchrony", table 1), so that
    /// to callers the move is instantaneous. The target's state is that of the view's place among the messages; another member gives it, or, when
    /// nobody else has it, this one does so first, and the group stands still meanwhile. Completes when the view is installed here and
    /// the last handler has run.
    /// </summary>
    /// <param name="to">
    /// A node of the configuration that is no member. It must take members of this group (<see cref="GroupNodeOptions.OnMigration"/>), and is let in
    /// like any joiner (<see cref="GroupOptions.InspectJoin"/>, at this member).
    /// </param>
    /// <param name="ct">Withdraws the call; once the move is announced it happens all the same.</param>
    /// <returns>The group as the view has it, with the target and without this node.</returns>
    /// <exception cref="MigrationFailedException">
    /// The target failed before the view, is a member already, does not take the group or was refused; or the state could not be saved; or the group is
    /// logged: join it at the target, then leave it here. This node is a member still. Or the membership ended otherwise meanwhile.
    /// </exception>
    /// <exception cref="InvalidOperationException">Called inside a handler of this group, which would wait for itself.</exception>
    /// <exception cref="NotMemberException">The membership is over.</exception>
    /// <exception cref="ExcludedException">The incarnation ended; see OutcomeUnknown.</exception>
    /// <exception cref="NodeStoppedException">The node has stopped; see OutcomeUnknown.</exception>
    /// <remarks>
    /// If this node fails before the view, the target is no member, and the group goes on without either; a group of one member ends with it. If the
    /// target fails after the view, or cannot load the state, the group goes on without it, as with any joiner; if it was the only member, the group ends.
    /// A state that the only member hands over is saved as one object, also where joiners get it as a stream.
    /// </remarks>
    public async ValueTask<GroupInfo> MigrateAsync(NodeId to, CancellationToken ct = default)
    {
        if (HandlerScope.Group == this)
        {
            throw new InvalidOperationException($"MigrateAsync inside a handler of '{Name}' would wait for that handler. Start it and await it outside the handler.");
        }

        if (_isLogged)
        {
            throw new MigrationFailedException(Name, "the group is logged, and a log stays where its disk is: join the group at the target, then leave it here");
        }

        CallResult result = await _membership.CallFreeAsync(InputKind.Migrate, to, ct).ConfigureAwait(false);
        await _membership.Over.WaitAsync(ct).ConfigureAwait(false);
        return (GroupInfo)result.Found!;
    }

    /// <summary>
    /// A redundant caller ("isis toolkit", redundant computation): every member of this group makes the same request to another group, under the same
    /// number. It is handled once, whoever's comes first, and answered to each that made it, also when others fail: members of the other
    /// group see this group's name as the sender, and recognise the number. They keep the answers to the last 256 requests; who is
    /// further behind, or asks after this group's members were silent through 256 changes of the configuration, may find them forgotten.
    /// </summary>
    /// <param name="groupName">The other group's name, or the text of its id.</param>
    /// <param name="number">From 1: the same at all members for the same request, and rising from request to request at each of them; part of this group's state.</param>
    /// <param name="order">The primitive. With a total order all members of the other group see the same one of the requests first.</param>
    /// <param name="body">The request, the same at all members; copied.</param>
    /// <param name="replies">How many replies to wait for.</param>
    /// <param name="timeout">Null: no limit but the members' failures.</param>
    /// <param name="ct">Withdraws this member's call; the request may have been handled.</param>
    /// <exception cref="GroupNotFoundException">There is no such group.</exception>
    /// <exception cref="InvalidOperationException">The number is not above those of this member's earlier requests to that group.</exception>
    /// <exception cref="TimeoutException">The time was over before enough replies came.</exception>
    /// <remarks>Further errors as for <see cref="SendAsync(Order, ReadOnlyMemory{byte}, CancellationToken)"/>. A request that a member passes on is answered to one of the callers only.</remarks>
    public async ValueTask<GroupReplies> RequestAsGroupAsync(
        string groupName, long number, Order order, ReadOnlyMemory<byte> body, Replies replies, TimeSpan? timeout = null, CancellationToken ct = default)
    {
        GroupNode.CheckAddress(groupName);
        return (await _membership.RequestAsGroupAsync(groupName, number, order, Envelope.Pack(body.Span), replies, timeout, ct).ConfigureAwait(false)).ToReplies();
    }

    /// <summary>As the redundant request in bytes, with objects.</summary>
    /// <inheritdoc cref="RequestAsGroupAsync(string, long, Order, ReadOnlyMemory{byte}, Replies, TimeSpan?, CancellationToken)"/>
    public async ValueTask<GroupReplies<TReply>> RequestAsGroupAsync<TRequest, TReply>(
        string groupName, long number, TRequest request, Replies replies, Order order = Order.Total, TimeSpan? timeout = null, CancellationToken ct = default)
    {
        GroupNode.CheckAddress(groupName);
        IPayloadSerializer serializer = Node.Host.Options.Serializer;
        return (await _membership.RequestAsGroupAsync(groupName, number, order, Envelope.Pack(request, serializer), replies, timeout, ct).ConfigureAwait(false)).ToReplies<TReply>(serializer);
    }

    /// <summary>Multicasts a request as bytes and waits for replies. Members that fail are named in the result.</summary>
    /// <param name="order">The primitive.</param>
    /// <param name="body">The request; copied.</param>
    /// <param name="replies">How many replies to wait for.</param>
    /// <param name="timeout">Null: no limit but the members' failures.</param>
    /// <param name="ct">Withdraws the call; the request may have been delivered.</param>
    /// <exception cref="TimeoutException">The time was over before enough replies came.</exception>
    /// <exception cref="InvalidOperationException">Called inside a handler of this group, whose own reply would be needed.</exception>
    /// <remarks>Further errors as for <see cref="SendAsync"/>.</remarks>
    public async ValueTask<GroupReplies> RequestAsync(Order order, ReadOnlyMemory<byte> body, Replies replies, TimeSpan? timeout = null, CancellationToken ct = default)
    {
        CallResult result = await _membership.RequestAsync(order, Envelope.Pack(body.Span), replies, timeout, ct).ConfigureAwait(false);
        return result.ToReplies();
    }

    /// <summary>
    /// Asks the journals of all members (<see cref="GroupOptions.Journal"/>), at one place among the group's messages, and waits for
    /// their answers. For those who write journals; a member without one answers with an error.
    /// </summary>
    /// <param name="order">The primitive.</param>
    /// <param name="question">The question; copied.</param>
    /// <param name="ct">Withdraws the call; the question may have been delivered.</param>
    /// <remarks>Errors as for the requests.</remarks>
    public async ValueTask<GroupReplies> AskJournalsAsync(Order order, ReadOnlyMemory<byte> question, CancellationToken ct = default)
    {
        CallResult result = await _membership.RequestAsync(order, Envelope.PackQuestion(question.Span), Replies.All, timeout: null, ct).ConfigureAwait(false);
        return result.ToReplies();
    }

    /// <summary>As the request in bytes, with objects.</summary>
    /// <inheritdoc cref="RequestAsync(Order, ReadOnlyMemory{byte}, Replies, TimeSpan?, CancellationToken)"/>
    public async ValueTask<GroupReplies<TReply>> RequestAsync<TRequest, TReply>(
        TRequest request, Replies replies, Order order = Order.Fifo, TimeSpan? timeout = null, CancellationToken ct = default)
    {
        IPayloadSerializer serializer = Node.Host.Options.Serializer;
        CallResult result = await _membership.RequestAsync(order, Envelope.Pack(request, serializer), replies, timeout, ct).ConfigureAwait(false);
        return result.ToReplies<TReply>(serializer);
    }

    /// <summary>
    /// The barrier before an external effect (RFC 992, section 6.6): waits until everything that this node was asked to send
    /// before, in any group, has left, and that and everything that it has delivered is stable: received by all its
    /// destinations, so that no failure but that of all of them loses it.
    /// </summary>
    public ValueTask FlushAsync(CancellationToken ct = default) => Node.FlushAsync(ct);

    /// <summary>
    /// Leaves the group; completes when the leave is delivered and the last handler has run. Leaving twice is leaving once.
    /// </summary>
    /// <param name="ct">Ends the wait; the leave goes on.</param>
    /// <exception cref="InvalidOperationException">Called inside a handler of this group, which would wait for itself: use <see cref="Leave"/>.</exception>
    public ValueTask LeaveAsync(CancellationToken ct = default)
    {
        if (HandlerScope.Group == this)
        {
            throw new InvalidOperationException(
                $"LeaveAsync inside a handler of '{Name}' would wait for that handler. Call Leave() there: it asks and does not wait.");
        }

        Leave();
        return new ValueTask(_membership.Over.WaitAsync(ct));
    }

    /// <summary>Asks to leave and does not wait; may be called inside a handler. <see cref="Ended"/> tells the end.</summary>
    public void Leave() => _membership.Leave();

    /// <summary>As <see cref="LeaveAsync"/>.</summary>
    public ValueTask DisposeAsync() => LeaveAsync();

    internal GroupMembership Membership => _membership;

    internal void RaiseRejoined(View view) => Rejoined?.Invoke(view);

    private ValueTask SendAsync<T>(Order order, T message, CancellationToken ct) =>
        _membership.SendAsync(order, Envelope.Pack(message, Node.Host.Options.Serializer), ct);

    private void Register<THandler>(THandler handler, Action<THandler> add)
    {
        ArgumentNullException.ThrowIfNull(handler);
        add(handler);
        _membership.HandlersChanged();
    }
}

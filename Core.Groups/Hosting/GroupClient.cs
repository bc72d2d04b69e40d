// A client of a cluster as the application holds it: a thin face of ClientHost.
// Follows: protocol.md section 7, callers that are not members; the clients of Isis, which were in no site's membership.
using System.Security.Cryptography;
using Core.Groups.Hosting;
using Core.Groups.Protocol.Clients;

namespace Core.Groups;

/// <summary>
/// A program that calls groups and is in no configuration: it costs the cluster no vote, no heartbeat and a few kilobytes, so there
/// may be thousands. It is connected to one of several nodes; when that one fails, stops or is cut off from the others, it goes
/// on through another, with everything that is open, in its order; each call is delivered once, in one view. All members may
/// be used from any thread.
/// </summary>
/// <remarks>
/// A call that is open while no node can be reached waits, up to its time limit. What a client is told cannot be undone by a
/// failure. When it is cut off from all nodes for longer than they remember it (half of
/// <see cref="GroupNodeOptions.ClientSession"/>), calls that had left end with <see cref="ClientForgottenException"/>.
/// </remarks>
public sealed class GroupClient : IAsyncDisposable
{
    private readonly ClientHost _host;

    private GroupClient(ClientHost host) => _host = host;

    /// <summary>Connects to one of the nodes. Later failures of nodes are the client's own business.</summary>
    /// <exception cref="ArgumentException">An option is wrong; the message names it.</exception>
    /// <exception cref="TimeoutException">No node served the client in time; the message says what the last one answered.</exception>
    /// <exception cref="NotSupportedException">The cluster is in extended mode, which serves no clients.</exception>
    public static async ValueTask<GroupClient> ConnectAsync(GroupClientOptions options, CancellationToken ct = default)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        var self = new NodeId($"{options.Name}-{RandomNumberGenerator.GetHexString(8, lowercase: true)}", NodeHost.UnixMilliseconds());
        var host = new ClientHost(options, self);
        host.Start();
        try
        {
            await host.WaitUntilServedAsync(options.ConnectTimeout, ct).ConfigureAwait(false);
        }
        catch
        {
            await host.StopAsync().ConfigureAwait(false);
            throw;
        }

        return new GroupClient(host);
    }

    /// <summary>Under this id members see the client: its name, with a random suffix. It changes when the nodes have forgotten the client.</summary>
    public NodeId Id => _host.Self;

    /// <summary>The node that serves the client now; null while it looks for one.</summary>
    public NodeId? Server => _host.Server;

    /// <summary>
    /// Multicasts to a group. Completes when all members have delivered the message: no failure short of all of them loses it any
    /// more. Waits for room in the window, and while no node can be reached.
    /// </summary>
    /// <param name="group">The group's name, or the text of its id.</param>
    /// <param name="order">The primitive.</param>
    /// <param name="body">The message; copied.</param>
    /// <param name="ct">Withdraws the call; the message may have been sent.</param>
    /// <returns>The id under which the members and the trace see the message, or see that it was sent once more.</returns>
    /// <exception cref="ArgumentException">The name is none.</exception>
    /// <exception cref="GroupNotFoundException">There is no such group (any more).</exception>
    /// <exception cref="MessageTooLargeException">The body is larger than the nodes' limit.</exception>
    /// <exception cref="ClientForgottenException">The nodes have forgotten the client: the outcome is not known.</exception>
    /// <exception cref="ClientStoppedException">The client has stopped; see OutcomeUnknown.</exception>
    public async ValueTask<MessageId> SendAsync(string group, Order order, ReadOnlyMemory<byte> body, CancellationToken ct = default) =>
        (await _host.CallAsync(group, order, Envelope.Pack(body.Span), Replies.None, null, ct).ConfigureAwait(false)).Message;

    /// <summary>As the multicast in bytes, with an object.</summary>
    /// <inheritdoc cref="SendAsync(string, Order, ReadOnlyMemory{byte}, CancellationToken)"/>
    public async ValueTask<MessageId> SendAsync<T>(string group, T message, Order order, CancellationToken ct = default) =>
        (await _host.CallAsync(group, order, Envelope.Pack(message, _host.Options.Serializer), Replies.None, null, ct).ConfigureAwait(false)).Message;

    /// <summary>Multicasts a request to a group and waits for replies; members that failed or left are named.</summary>
    /// <param name="group">The group's name, or the text of its id.</param>
    /// <param name="order">The primitive.</param>
    /// <param name="body">The request; copied.</param>
    /// <param name="replies">How many replies to wait for.</param>
    /// <param name="timeout">The time limit, with the time that it takes to find a node; null: none.</param>
    /// <param name="ct">Withdraws the call; the request may have been sent.</param>
    /// <exception cref="TimeoutException">The time was over before enough replies came; the request may have been handled.</exception>
    /// <remarks>Further errors as for <see cref="SendAsync(string, Order, ReadOnlyMemory{byte}, CancellationToken)"/>.</remarks>
    public async ValueTask<GroupReplies> RequestAsync(
        string group, Order order, ReadOnlyMemory<byte> body, Replies replies, TimeSpan? timeout = null, CancellationToken ct = default) =>
        (await _host.CallAsync(group, order, Envelope.Pack(body.Span), replies, timeout, ct).ConfigureAwait(false)).ToReplies();

    /// <summary>As the request in bytes, to an entry point by name or number.</summary>
    /// <inheritdoc cref="RequestAsync(string, Order, ReadOnlyMemory{byte}, Replies, TimeSpan?, CancellationToken)"/>
    public async ValueTask<GroupReplies> RequestEntryAsync(
        string group, EntryAddress entry, Order order, ReadOnlyMemory<byte> body, Replies replies, TimeSpan? timeout = null, CancellationToken ct = default) =>
        (await _host.CallAsync(group, order, Envelope.Pack(entry, body.Span), replies, timeout, ct).ConfigureAwait(false)).ToReplies();

    /// <summary>As the request in bytes, with objects.</summary>
    /// <inheritdoc cref="RequestAsync(string, Order, ReadOnlyMemory{byte}, Replies, TimeSpan?, CancellationToken)"/>
    public async ValueTask<GroupReplies<TReply>> RequestAsync<TRequest, TReply>(
        string group, TRequest request, Replies replies, Order order = Order.Total, TimeSpan? timeout = null, CancellationToken ct = default) =>
        (await _host.CallAsync(group, order, Envelope.Pack(request, _host.Options.Serializer), replies, timeout, ct).ConfigureAwait(false))
            .ToReplies<TReply>(_host.Options.Serializer);

    /// <summary>Looks a group up in the cluster's registry. Waits while no node can be reached.</summary>
    /// <param name="group">The group's name, or the text of its id.</param>
    /// <param name="ct">Withdraws the question.</param>
    /// <returns>Null: there is no such group.</returns>
    /// <exception cref="ArgumentException">The name is none.</exception>
    /// <exception cref="ClientStoppedException">The client has stopped.</exception>
    public async ValueTask<GroupInfo?> FindGroupAsync(string group, CancellationToken ct = default)
    {
        GroupNode.CheckAddress(group);
        return (await _host.AskAsync(ClientQuestionKind.Find, group, ct).ConfigureAwait(false)).Found as GroupInfo;
    }

    /// <summary>The names of the groups of the cluster, in order. Waits while no node can be reached.</summary>
    /// <param name="prefix">How they begin: <c>/analysis/</c>, <c>@NewYork:</c>; empty: all.</param>
    /// <param name="ct">Withdraws the question.</param>
    /// <exception cref="ClientStoppedException">The client has stopped.</exception>
    public async ValueTask<IReadOnlyList<string>> ListGroupsAsync(string prefix = "", CancellationToken ct = default)
    {
        ArgumentNullException.ThrowIfNull(prefix);
        return prefix.Length > GroupName.MaximumLength ? [] : (string[])(await _host.AskAsync(ClientQuestionKind.List, prefix, ct).ConfigureAwait(false)).Found!;
    }

    /// <summary>
    /// Deletes a group: all its members leave it at one place among its messages. The group that has the name now is meant, and no other that is made
    /// under it meanwhile. Waits while no node can be reached.
    /// </summary>
    /// <param name="group">The group's name, or the text of its id.</param>
    /// <param name="ct">Ends the wait; what was asked for may still happen.</param>
    /// <exception cref="GroupNotFoundException">There is no such group.</exception>
    /// <exception cref="ClientStoppedException">The client has stopped; the group may be deleted all the same.</exception>
    public async ValueTask DeleteGroupAsync(string group, CancellationToken ct = default)
    {
        GroupInfo found = await FindGroupAsync(group, ct).ConfigureAwait(false) ?? throw new GroupNotFoundException(group);
        try
        {
            await _host.AskAsync(ClientQuestionKind.Delete, found.Id.ToString(), ct).ConfigureAwait(false);
        }
        catch (GroupNotFoundException)
        {
            // It was there: so it is deleted, by a question whose answer was lost with its node, or by somebody else.
        }
    }

    /// <summary>Asks the processes of a group's members to end. See <see cref="GroupNode.KillAsync"/>.</summary>
    /// <param name="group">The group's name, or the text of its id.</param>
    /// <param name="reason">Why, for the applications and their logs; at most 1,000 characters.</param>
    /// <param name="ct">Ends the wait; what was asked for may still happen.</param>
    /// <remarks>Errors as for <see cref="SendAsync(string, Order, ReadOnlyMemory{byte}, CancellationToken)"/>.</remarks>
    public async ValueTask KillAsync(string group, string reason, CancellationToken ct = default)
    {
        ArgumentNullException.ThrowIfNull(reason);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(reason.Length, 1000, nameof(reason));
        await _host.CallAsync(group, Order.Total, Envelope.PackKill(reason), Replies.None, null, ct).ConfigureAwait(false);
    }

    /// <summary>Waits until a node serves the client.</summary>
    /// <exception cref="ClientStoppedException">The client has stopped.</exception>
    public ValueTask WaitUntilServedAsync(CancellationToken ct = default) => new(_host.WaitUntilServedAsync(Timeout.InfiniteTimeSpan, ct));

    /// <summary>Stops: open calls end with <see cref="ClientStoppedException"/>, and the cluster forgets the client. Stopping twice is stopping once.</summary>
    public ValueTask DisposeAsync() => new(_host.StopAsync());
}

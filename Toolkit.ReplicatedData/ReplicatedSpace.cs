// A space of shared objects as an application holds it.
// Follows: the replicated data of Isis ("Exploiting virtual synchrony", 3.2, 3.3, 3.5; "The history of virtual synchrony").
using Core.Groups;
using Core.Groups.Replication;
using Toolkit.Locks;
using Toolkit.ReplicatedData.Space;

namespace Toolkit.ReplicatedData;

/// <summary>
/// Objects that every node that opens the space holds a copy of: variables, dictionaries, sets, counters, lists and queues, made
/// at their first use. Reads are local and never wait. Batches and transactions span the objects of one space. All members may
/// be used from any thread. Those who open one space at one node share the copy; each disposes of its own.
/// </summary>
/// <remarks>
/// Errors of every call that multicasts: <see cref="ExcludedException"/> (see its OutcomeUnknown; retry after
/// <see cref="WhenJoinedAsync"/>), <see cref="NodeStoppedException"/>, <see cref="NotMemberException"/>, and
/// <see cref="MessageTooLargeException"/>. A cancelled call has stopped waiting; it may have its effect all the same.
/// </remarks>
public sealed class ReplicatedSpace : IAsyncDisposable
{
    private const string GroupSuffix = "#data";

    [ThreadStatic] private static bool _isReading; // the copy stands still already: a snapshot in a snapshot

    private readonly ReplicaHost<SpaceReplica> _host;
    private readonly SpaceClient _client;

    private ReplicatedSpace(ReplicaHost<SpaceReplica> host, SpaceClient client)
    {
        _host = host;
        _client = client;
    }

    /// <summary>The node.</summary>
    public GroupNode Node => _host.Node;

    /// <summary>The view in which the last update was made here: who holds copies.</summary>
    public View View => _host.View;

    /// <summary>Whether the copy is kept up to date. After an exclusion reads show the past, until it is taken anew.</summary>
    public bool IsMember => _host.IsMember;

    /// <summary>
    /// Raised when the membership has ended by an exclusion: updates of this node that had not ended may be lost, and what is
    /// read next may be a copy taken from the others. In the order of the change events, on the thread pool.
    /// </summary>
    public event Action? Interrupted
    {
        add => _client.Interrupted += value;
        remove => _client.Interrupted -= value;
    }

    /// <summary>Opens a space, and makes it if it is not there. Completes when its copy is here; waits while the node is blocked.</summary>
    /// <param name="node">The node.</param>
    /// <param name="name">The space's path. Its group has this name and <c>#data</c>.</param>
    /// <param name="ct">Gives it up.</param>
    /// <exception cref="ExcludedException">The incarnation ended meanwhile.</exception>
    /// <exception cref="NodeStoppedException">The node has stopped.</exception>
    public static ValueTask<ReplicatedSpace> OpenAsync(GroupNode node, string name, CancellationToken ct = default)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        return OpenGroupAsync(node, name + GroupSuffix, ct);
    }

    internal static async ValueTask<ReplicatedSpace> OpenGroupAsync(GroupNode node, string group, CancellationToken ct)
    {
        ArgumentNullException.ThrowIfNull(node);
        ReplicaHost<SpaceReplica> host = await ReplicaHost<SpaceReplica>.OpenAsync(
            node, group, () => new SpaceReplica(new SpaceClient(group)), ct).ConfigureAwait(false);
        var client = (SpaceClient)host.Run(0, static (replica, _) => replica.Effects);
        client.Pump.Logger = host.Logger;
        return new ReplicatedSpace(host, client);
    }

    /// <summary>Completes when this node is a member again after an exclusion, at once while it is one.</summary>
    public Task WhenJoinedAsync(CancellationToken ct = default) => _host.WhenJoinedAsync(ct);

    // ---- objects

    /// <summary>Opens a variable.</summary>
    /// <exception cref="InvalidOperationException">It was made in another mode, or is open here with another type.</exception>
    public async ValueTask<ReplicatedVariable<T>> OpenVariableAsync<T>(string name, ReplicatedDataOptions? options = null, CancellationToken ct = default)
    {
        (UpdateMode mode, IPayloadSerializer serializer) = Read(options);
        return new(this, await ObtainAsync(ObjectKind.Variable, name, mode, () => new VariableMirror<T>(name, mode, serializer, _client.Pump), ct).ConfigureAwait(false));
    }

    /// <summary>Opens a dictionary.</summary>
    /// <exception cref="InvalidOperationException">It was made in another mode, or is open here with other types.</exception>
    public async ValueTask<ReplicatedDictionary<TKey, TValue>> OpenDictionaryAsync<TKey, TValue>(string name, ReplicatedDataOptions? options = null, CancellationToken ct = default)
        where TKey : notnull
    {
        (UpdateMode mode, IPayloadSerializer serializer) = Read(options);
        return new(this, await ObtainAsync(
            ObjectKind.Dictionary, name, mode,
            () => new MapMirror<TKey, EntryChange<TKey, TValue>>(
                ObjectKind.Dictionary, name, mode, serializer, _client.Pump,
                (mirror, key, cell) => new(key, cell.IsPresent ? mirror.Decode<TValue>(cell) : default, cell.IsPresent, cell.ShownVersion, cell.Writer)),
            ct).ConfigureAwait(false));
    }

    /// <summary>Opens a set.</summary>
    /// <exception cref="InvalidOperationException">It was made in another mode, or is open here with another type.</exception>
    public async ValueTask<ReplicatedSet<T>> OpenSetAsync<T>(string name, ReplicatedDataOptions? options = null, CancellationToken ct = default)
        where T : notnull
    {
        (UpdateMode mode, IPayloadSerializer serializer) = Read(options);
        return new(this, await ObtainAsync(
            ObjectKind.Set, name, mode,
            () => new MapMirror<T, ElementChange<T>>(
                ObjectKind.Set, name, mode, serializer, _client.Pump, static (_, element, cell) => new(element, cell.IsPresent, cell.Writer)),
            ct).ConfigureAwait(false));
    }

    /// <summary>Opens a counter: additions of several members at once never get in each other's way.</summary>
    /// <exception cref="InvalidOperationException">It was made in another mode.</exception>
    public async ValueTask<ReplicatedCounter> OpenCounterAsync(string name, ReplicatedDataOptions? options = null, CancellationToken ct = default)
    {
        UpdateMode mode = Read(options).Mode;
        return new(this, await ObtainAsync(ObjectKind.Counter, name, mode, () => new CounterMirror(name, mode, _client.Pump), ct).ConfigureAwait(false));
    }

    /// <summary>Opens a list.</summary>
    /// <exception cref="ArgumentException">The options ask for the causal mode.</exception>
    public async ValueTask<ReplicatedList<T>> OpenListAsync<T>(string name, ReplicatedDataOptions? options = null, CancellationToken ct = default) =>
        new(this, await ObtainItemsAsync<T>(ObjectKind.List, name, options, ct).ConfigureAwait(false));

    /// <summary>Opens a queue: what one member takes, no other gets.</summary>
    /// <exception cref="ArgumentException">The options ask for the causal mode.</exception>
    public async ValueTask<ReplicatedQueue<T>> OpenQueueAsync<T>(string name, ReplicatedDataOptions? options = null, CancellationToken ct = default) =>
        new(this, await ObtainItemsAsync<T>(ObjectKind.Queue, name, options, ct).ConfigureAwait(false));

    // ---- all objects at once

    /// <summary>Makes several updates in the total order, at one moment: all of them, or none if a condition is not met.</summary>
    /// <param name="compose">Says what to update.</param>
    /// <param name="wait">What the answer is to mean.</param>
    /// <param name="owner">
    /// Who updates, if it holds locks of Toolkit.Locks, or values in a transaction: an update waits while a transaction holds what it changes, and a
    /// deadlock that leads through this wait is then found, too. Null: it is not.
    /// </param>
    /// <param name="ct">Ends the wait; the updates may be made all the same.</param>
    /// <exception cref="DeadlockException">The owner was chosen to give way; nothing is updated. Let go of what it has and begin again.</exception>
    public async ValueTask<UpdateOutcome> UpdateAsync(
        Action<UpdateBatch> compose, UpdateWait wait = UpdateWait.Stable, LockOwner? owner = null, CancellationToken ct = default)
    {
        ArgumentNullException.ThrowIfNull(compose);
        var batch = new UpdateBatch(this);
        compose(batch);
        UpdateResult result = await UpdateAllAsync(batch.Operations, wait, owner, ct).ConfigureAwait(false);
        return new UpdateOutcome(result.Applied, result.Version);
    }

    /// <summary>Reads several objects between two updates: what it sees was there at one moment.</summary>
    /// <param name="read">Reads objects of this space, and does nothing else: the copy stands still meanwhile.</param>
    public TResult Snapshot<TResult>(Func<TResult> read)
    {
        ArgumentNullException.ThrowIfNull(read);
        return _isReading ? read() : _host.Read(read, static (_, read) => ReadAtOnce(read));
    }

    /// <summary>
    /// A linearizable read: sees every update that was answered anywhere before this was called, and gives nothing that can
    /// still be lost. Takes about two round trips.
    /// </summary>
    /// <param name="read">Reads objects of this space, and does nothing else.</param>
    /// <param name="ct">Ends the wait.</param>
    public async ValueTask<TResult> ReadAsync<TResult>(Func<TResult> read, CancellationToken ct = default)
    {
        ArgumentNullException.ThrowIfNull(read);
        await _host.WhenWritable(ct).ConfigureAwait(false);
        var pending = new FencedRead<TResult>(read);
        _host.Run((_client, pending), static (replica, call) => replica.Fence(call._client.Add(call.pending, UpdateWait.Stable)));
        await pending.Task.WaitAsync(ct).ConfigureAwait(false);
        return pending.Result();
    }

    /// <summary>
    /// Waits until everything that this node has updated and everything that it has seen is stable: received by all members, so
    /// that nothing short of the failure of all of them loses it. To be called before telling the world of it.
    /// </summary>
    public async ValueTask FlushAsync(CancellationToken ct = default)
    {
        await _host.Run(_client, static (replica, client) =>
        {
            var pending = new PendingCall(mayHaveEffect: false);
            replica.Flush(client.Add(pending, UpdateWait.Stable));
            return pending.Task;
        }).WaitAsync(ct).ConfigureAwait(false);
    }

    /// <summary>Begins a transaction. Prefer <see cref="TransactAsync{TResult}"/>, which does the work again after a deadlock.</summary>
    /// <param name="owner">
    /// Who also waits for locks of Toolkit.Locks or works in another space: a deadlock that leads through them is found, too. Null: an owner of its own.
    /// </param>
    public Transaction BeginTransaction(LockOwner? owner = null) => _host.Run(
        (this, owner), static (_, call) => new Transaction(call.Item1, call.Item1._client, call.Item1._host, call.Item1._client.NextTransaction(), call.owner));

    /// <summary>Does a piece of work as a transaction and commits it; does it again, up to 20 times, if it had to give way to break a deadlock.</summary>
    /// <param name="work">Reads and writes through the transaction. What it throws aborts the transaction and comes out here.</param>
    /// <param name="wait">What the answer is to mean.</param>
    /// <param name="owner">As in <see cref="BeginTransaction"/>. If it holds something else, the work is not done again after a deadlock: let go of that first.</param>
    /// <param name="ct">Aborts it, unless the commit is under way.</param>
    /// <exception cref="DeadlockException">It had to give way, every time or while its owner held something else.</exception>
    public async ValueTask<TResult> TransactAsync<TResult>(
        Func<Transaction, ValueTask<TResult>> work, UpdateWait wait = UpdateWait.Stable, LockOwner? owner = null, CancellationToken ct = default)
    {
        ArgumentNullException.ThrowIfNull(work);
        const int Most = 20;
        for (int attempt = 1; ; attempt++)
        {
            Transaction transaction = BeginTransaction(owner);
            await using (transaction.ConfigureAwait(false))
            {
                try
                {
                    TResult result = await work(transaction).ConfigureAwait(false);
                    await transaction.CommitAsync(wait, ct).ConfigureAwait(false);
                    return result;
                }
                catch (DeadlockException) when (attempt < Most && owner is not { Tickets.Count: > 0 })
                {
                    // It was chosen to give way: what it held is released, and the others go on.
                }
            }
        }
    }

    /// <summary>As <see cref="TransactAsync{TResult}"/>, without a result.</summary>
    public async ValueTask TransactAsync(Func<Transaction, ValueTask> work, UpdateWait wait = UpdateWait.Stable, LockOwner? owner = null, CancellationToken ct = default)
    {
        ArgumentNullException.ThrowIfNull(work);
        await TransactAsync(
            async transaction =>
            {
                await work(transaction).ConfigureAwait(false);
                return true;
            },
            wait, owner, ct).ConfigureAwait(false);
    }

    /// <summary>Gives the space up; the node leaves the group when all who opened it here have. While the node is blocked that is not waited for longer than a few seconds.</summary>
    public ValueTask DisposeAsync() => _host.DisposeAsync();

    // ---- for the objects

    internal bool IsSameAs(ReplicatedSpace other) => _client == other._client;

    internal ValueTask<UpdateResult> UpdateOneAsync(in Operation operation, UpdateWait wait, LockOwner? owner, CancellationToken ct)
    {
        ct.ThrowIfCancellationRequested();
        if (owner is { Tickets.Count: > 0 }) return UpdateAllAsync([Keep(operation)], wait, owner, ct);
        ValueTask writable = _host.WhenWritable(ct);
        if (!writable.IsCompletedSuccessfully) return UpdateWhenWritableAsync(writable, Keep(operation), wait, ct);
        Task<UpdateResult> task = Start(operation, wait);
        return new ValueTask<UpdateResult>(ct.CanBeCanceled ? task.WaitAsync(ct) : task);
    }

    internal ValueTask<long> UpdateCausallyAsync(in Operation operation, UpdateMode mode, CancellationToken ct)
    {
        if (mode != UpdateMode.Causal)
            throw new InvalidOperationException("The object is in total mode. Open it in causal mode (ReplicatedDataOptions.Mode), or update it in the total order.");
        ct.ThrowIfCancellationRequested();
        ValueTask writable = _host.WhenWritable(ct);
        return writable.IsCompletedSuccessfully ? new ValueTask<long>(StartCausally(operation)) : UpdateCausallyWhenWritableAsync(writable, Keep(operation));
    }

    private async ValueTask<UpdateResult> UpdateAllAsync(IReadOnlyList<Operation> operations, UpdateWait wait, LockOwner? owner, CancellationToken ct)
    {
        await _host.WhenWritable(ct).ConfigureAwait(false);
        var pending = new PendingCall(mayHaveEffect: true);
        (long call, Ticket ticket) = _host.Run((this, pending, operations, wait), static (replica, asked) =>
        {
            SpaceClient client = asked.Item1._client;
            long call = client.Add(asked.pending, asked.wait);
            replica.UpdateAll(call, asked.operations);
            return (call, new Ticket(asked.Item1._host.Name, replica.Self, client.NextTransaction()));
        });
        // Who has nothing is in no circle.
        return await (owner is { Tickets.Count: > 0 } ? WaitAsOwnerAsync(pending, call, owner, ticket, ct) : pending.Task.WaitAsync(ct)).ConfigureAwait(false);
    }

    // Nobody waits for an update alone: the ticket only names what its owner waits for.
    private async Task<UpdateResult> WaitAsOwnerAsync(PendingCall pending, long call, LockOwner owner, Ticket ticket, CancellationToken ct)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(ct);
        owner.Add(ticket);
        _ = LockWaitReporter.RunAsync(
            _host, owner, ticket, pending, static (replica, call) => replica.BlockersOfUpdate(call), call,
            e => ThreadPool.QueueUserWorkItem(static w => w.Item1.Withdraw(w.call, w.e), (this, call, e), preferLocal: false), over.Token);
        try
        {
            return await pending.Task.WaitAsync(ct).ConfigureAwait(false);
        }
        finally
        {
            await over.CancelAsync().ConfigureAwait(false);
            owner.Remove(ticket);
        }
    }

    private void Withdraw(long call, DeadlockException deadlock)
    {
        try
        {
            _host.Run((call, deadlock), static (replica, chosen) => replica.Withdraw(chosen.call, chosen.deadlock.Cycle));
        }
        catch (Exception e) when (e is GroupException or ObjectDisposedException or InvalidOperationException)
        {
            // Not a member now: the call has ended with the membership.
        }
    }

    private async ValueTask<UpdateResult> UpdateWhenWritableAsync(ValueTask writable, Operation operation, UpdateWait wait, CancellationToken ct)
    {
        await writable.ConfigureAwait(false);
        return await Start(operation, wait).WaitAsync(ct).ConfigureAwait(false);
    }

    private async ValueTask<long> UpdateCausallyWhenWritableAsync(ValueTask writable, Operation operation)
    {
        await writable.ConfigureAwait(false);
        return StartCausally(operation);
    }

    private Task<UpdateResult> Start(in Operation operation, UpdateWait wait) => _host.Run((_client, operation, wait), static (replica, call) =>
    {
        var pending = new PendingCall(mayHaveEffect: true);
        replica.Update(call._client.Add(pending, call.wait), call.operation);
        return pending.Task;
    });

    private long StartCausally(in Operation operation) => _host.Run(operation, static (replica, operation) => replica.UpdateCausally(operation));

    // The bytes of an operation are the thread's until the next one: what waits keeps its own.
    private static Operation Keep(in Operation operation) => operation with { Key = operation.Key.ToArray(), Value = operation.Value.ToArray() };

    private static (UpdateMode Mode, IPayloadSerializer Serializer) Read(ReplicatedDataOptions? options)
    {
        UpdateMode mode = options?.Mode ?? UpdateMode.Total;
        if (!Enum.IsDefined(mode)) throw new ArgumentException($"There is no mode {mode}.", nameof(options));
        return (mode, options?.Serializer ?? DefaultSerializer.Instance);
    }

    private async ValueTask<ItemsMirror<T>> ObtainItemsAsync<T>(ObjectKind kind, string name, ReplicatedDataOptions? options, CancellationToken ct)
    {
        (UpdateMode mode, IPayloadSerializer serializer) = Read(options);
        if (mode != UpdateMode.Total)
            throw new ArgumentException("Lists and queues have the total mode only: a position means something in one order alone.", nameof(options));
        return await ObtainAsync(kind, name, mode, () => new ItemsMirror<T>(kind, name, serializer, _client.Pump), ct).ConfigureAwait(false);
    }

    private async ValueTask<TMirror> ObtainAsync<TMirror>(ObjectKind kind, string name, UpdateMode mode, Func<TMirror> create, CancellationToken ct)
        where TMirror : class, IObjectMirror
    {
        ArgumentNullException.ThrowIfNull(name);
        await _host.Run((_client, kind, name, mode), static (replica, call) =>
        {
            var pending = new PendingCall(mayHaveEffect: true);
            replica.Open(call._client.Add(pending, UpdateWait.Ordered), call.kind, call.name, call.mode);
            return pending.Task;
        }).WaitAsync(ct).ConfigureAwait(false);
        return _host.Run((_client, kind, name, create), static (replica, call) => call._client.Obtain(replica, call.kind, call.name, call.create));
    }

    private static TResult ReadAtOnce<TResult>(Func<TResult> read)
    {
        _isReading = true;
        try
        {
            return read();
        }
        finally
        {
            _isReading = false;
        }
    }

    private sealed class FencedRead<TResult>(Func<TResult> read) : PendingCall(mayHaveEffect: false)
    {
        private TResult? _result;
        private Exception? _error;

        public override void OnFenced()
        {
            try
            {
                _result = ReadAtOnce(read);
            }
            catch (Exception e)
            {
                _error = e; // the reader's own: it must not reach the replica
            }
        }

        public TResult Result()
        {
            if (_error is not null) System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(_error);
            return _result!;
        }
    }
}

// A transaction as the member that executes it sees it: locks as it goes, updates in the background, one multicast to commit.
// Follows: "Exploiting virtual synchrony", 3.5. Keeps: it never goes on under another membership than the one it began in.
using Core.Groups;
using Core.Groups.Replication;
using Toolkit.Locks;
using Toolkit.ReplicatedData.Space;

namespace Toolkit.ReplicatedData;

/// <summary>
/// Reads and writes several objects of a space as if alone (one-copy serializable), under two-phase locks on single values:
/// those of variables and counters, entries of dictionaries, elements of sets, all in total mode. Nobody sees its updates before
/// the commit; then all are made at one moment at all members. If the executing member fails, it has its effect at all members
/// or at none. A call that is cancelled or fails aborts it. One call at a time; dispose of it when done.
/// </summary>
/// <remarks>
/// Every call that may wait for a lock can end with <see cref="DeadlockException"/>: do the whole transaction again, as
/// <see cref="ReplicatedSpace.TransactAsync{TResult}"/> does. Reads outside transactions take no locks; updates outside
/// transactions wait until the transactions that hold their values have ended.
/// </remarks>
public sealed class Transaction : IAsyncDisposable
{
    private readonly ReplicatedSpace _space;
    private readonly SpaceClient _client;
    private readonly ReplicaHost<SpaceReplica> _host;
    private readonly long _number;
    private readonly long _membership;
    private readonly LockOwner _owner;
    private readonly Dictionary<LockKey, Held> _held = [];
    private Ticket? _ticket; // of all its locks: they go together
    private bool _isOver;
    private int _busy;

    internal Transaction(ReplicatedSpace space, SpaceClient client, ReplicaHost<SpaceReplica> host, long number, LockOwner? owner)
    {
        (_space, _client, _host, _number, _membership) = (space, client, host, number, client.Memberships);
        _owner = owner ?? new LockOwner($"transaction {number}");
    }

    /// <summary>Reads a variable, under a shared lock; with <paramref name="forUpdate"/> under an exclusive one, so that a write will not have to wait.</summary>
    public async ValueTask<T?> ReadAsync<T>(ReplicatedVariable<T> variable, bool forUpdate = false, CancellationToken ct = default)
    {
        Check(variable);
        Held held = await LockAsync(new LockKey(variable.Id, []), forUpdate, ct).ConfigureAwait(false);
        return held.Cell.IsPresent ? Payloads.Decode<T>(variable.Serializer, held.Cell) : default;
    }

    /// <summary>Reads an entry of a dictionary, under a shared or an exclusive lock; the default if there is none.</summary>
    public async ValueTask<TValue?> ReadAsync<TKey, TValue>(ReplicatedDictionary<TKey, TValue> dictionary, TKey key, bool forUpdate = false, CancellationToken ct = default)
        where TKey : notnull
    {
        Check(dictionary);
        Held held = await LockAsync(new LockKey(dictionary.Id, Payloads.Encode(dictionary.Serializer, key).ToArray()), forUpdate, ct).ConfigureAwait(false);
        return held.Cell.IsPresent ? Payloads.Decode<TValue>(dictionary.Serializer, held.Cell) : default;
    }

    /// <summary>Whether an element is in a set, under a shared or an exclusive lock.</summary>
    public async ValueTask<bool> ContainsAsync<T>(ReplicatedSet<T> set, T element, bool forUpdate = false, CancellationToken ct = default)
        where T : notnull
    {
        Check(set);
        Held held = await LockAsync(new LockKey(set.Id, Payloads.Encode(set.Serializer, element).ToArray()), forUpdate, ct).ConfigureAwait(false);
        return held.Cell.IsPresent;
    }

    /// <summary>Reads a counter, under a shared or an exclusive lock.</summary>
    public async ValueTask<long> ReadAsync(ReplicatedCounter counter, bool forUpdate = false, CancellationToken ct = default)
    {
        Check(counter);
        return (await LockAsync(new LockKey(counter.Id, []), forUpdate, ct).ConfigureAwait(false)).Sum;
    }

    /// <summary>Sets a variable, under an exclusive lock.</summary>
    public ValueTask WriteAsync<T>(ReplicatedVariable<T> variable, T value, CancellationToken ct = default)
    {
        Check(variable);
        return WriteAsync(variable.Set(value, Operation.Any), ct);
    }

    /// <summary>Sets an entry of a dictionary, under an exclusive lock.</summary>
    public ValueTask WriteAsync<TKey, TValue>(ReplicatedDictionary<TKey, TValue> dictionary, TKey key, TValue value, CancellationToken ct = default)
        where TKey : notnull
    {
        Check(dictionary);
        return WriteAsync(dictionary.Set(key, value, Operation.Any), ct);
    }

    /// <summary>Removes an entry of a dictionary, under an exclusive lock.</summary>
    public ValueTask RemoveAsync<TKey, TValue>(ReplicatedDictionary<TKey, TValue> dictionary, TKey key, CancellationToken ct = default)
        where TKey : notnull
    {
        Check(dictionary);
        return WriteAsync(dictionary.Remove(key, Operation.Any), ct);
    }

    /// <summary>Adds an element to a set, under an exclusive lock.</summary>
    public ValueTask AddAsync<T>(ReplicatedSet<T> set, T element, CancellationToken ct = default)
        where T : notnull
    {
        Check(set);
        return WriteAsync(set.Add(element, Operation.Any), ct);
    }

    /// <summary>Removes an element from a set, under an exclusive lock.</summary>
    public ValueTask RemoveAsync<T>(ReplicatedSet<T> set, T element, CancellationToken ct = default)
        where T : notnull
    {
        Check(set);
        return WriteAsync(set.Remove(element), ct);
    }

    /// <summary>Adds to a counter, under an exclusive lock.</summary>
    public ValueTask AddAsync(ReplicatedCounter counter, long delta, CancellationToken ct = default)
    {
        Check(counter);
        return WriteAsync(counter.Add(delta), ct);
    }

    /// <summary>Commits: one multicast. A transaction without any call has nothing to commit.</summary>
    /// <param name="wait">What the answer is to mean.</param>
    /// <param name="ct">Ends the wait; the commit goes on.</param>
    /// <exception cref="ExcludedException">This node was excluded; its OutcomeUnknown says whether the commit was under way.</exception>
    public async ValueTask CommitAsync(UpdateWait wait = UpdateWait.Stable, CancellationToken ct = default)
    {
        using Turn turn = Take();
        End();
        if (_held.Count == 0) return;
        await _host.Run((this, wait), static (replica, call) =>
        {
            call.Item1.CheckMembership();
            var pending = new PendingCall(mayHaveEffect: true);
            replica.Commit(call.Item1._client.Add(pending, call.wait), call.Item1._number);
            return pending.Task;
        }).WaitAsync(ct).ConfigureAwait(false);
    }

    /// <summary>Gives it up: nothing of it was made, and its locks go to others. Completes at once.</summary>
    public void Abort()
    {
        if (_isOver) return;
        End();
        if (_held.Count == 0 && Volatile.Read(ref _busy) == 0) return;
        try
        {
            _host.Run(this, static (replica, transaction) =>
            {
                if (transaction._membership == transaction._client.Memberships) replica.Abort(transaction._number);
            });
        }
        catch (Exception e) when (e is GroupException or ObjectDisposedException)
        {
            // The membership is over, and the transaction with it.
        }
    }

    /// <summary>Aborts it if it is not committed.</summary>
    public ValueTask DisposeAsync()
    {
        Abort();
        return default;
    }

    private async ValueTask WriteAsync(Operation given, CancellationToken ct)
    {
        Operation operation = given with { Key = given.Key.ToArray(), Value = given.Value.ToArray() };
        var key = new LockKey(operation.Object, [.. operation.Key.Span]);
        Held held = await LockAsync(key, exclusive: true, ct).ConfigureAwait(false);
        using Turn turn = Take();
        try
        {
            await _host.WhenWritable(ct).ConfigureAwait(false);
            _host.Run((this, operation), static (replica, call) =>
            {
                call.Item1.CheckMembership();
                replica.Write(call.Item1._number, call.operation);
            });
        }
        catch (Exception)
        {
            Abort(); // or it could be committed without this
            throw;
        }

        held.Sum = unchecked(held.Sum + operation.Number);
        held.Cell = new Cell(operation.Kind == OperationKind.Set ? operation.Value.ToArray() : null, held.Cell.Version, Node, true);
    }

    private NodeId Node => _space.Node.Id;

    private async ValueTask<Held> LockAsync(LockKey key, bool exclusive, CancellationToken ct)
    {
        using Turn turn = Take();
        if (_held.TryGetValue(key, out Held? held) && (held.IsExclusive || !exclusive)) return held;
        try
        {
            await _host.WhenWritable(ct).ConfigureAwait(false);
            PendingCall asked = _host.Run((this, key, exclusive), static (replica, call) =>
            {
                call.Item1.CheckMembership();
                call.Item1.Show(replica.Self);
                var pending = new PendingCall(mayHaveEffect: false);
                replica.Lock(call.Item1._client.Add(pending, UpdateWait.Ordered), call.Item1._number, call.exclusive, call.key.Object, call.key.Key);
                return pending;
            });
            UpdateResult result = await WaitAsync(asked, ct).ConfigureAwait(false);
            if (held is null) _held.Add(key, held = new Held { Cell = result.Taken!, Sum = result.Number });
            held.IsExclusive = exclusive;
            return held;
        }
        catch (Exception)
        {
            Abort(); // what it asked for it may still be given: nobody would release it
            throw;
        }
    }

    // Who has nothing yet is in no circle.
    private async Task<UpdateResult> WaitAsync(PendingCall asked, CancellationToken ct)
    {
        if (asked.Task.IsCompleted || (_held.Count == 0 && _owner.Tickets.Count < 2)) return await asked.Task.WaitAsync(ct).ConfigureAwait(false);
        using var over = CancellationTokenSource.CreateLinkedTokenSource(ct);
        _ = LockWaitReporter.RunAsync(
            _host, _owner, _ticket!.Value, asked, static (replica, number) => replica.BlockersOf(number), _number, e => asked.TrySetException(e), over.Token);
        try
        {
            return await asked.Task.WaitAsync(ct).ConfigureAwait(false);
        }
        finally
        {
            await over.CancelAsync().ConfigureAwait(false);
        }
    }

    // Before the first lock can be in anybody's way.
    private void Show(NodeId self)
    {
        if (_ticket is not null) return;
        _ticket = new Ticket(_host.Name, self, _number);
        _owner.Add(_ticket.Value);
    }

    private void End()
    {
        _isOver = true;
        if (_ticket is { } ticket) _owner.Remove(ticket);
    }

    private void Check(ReplicatedObject target)
    {
        ArgumentNullException.ThrowIfNull(target);
        if (!_space.IsSameAs(target.Space)) throw new ArgumentException("The object is in another space. A transaction spans the objects of one space.", nameof(target));
    }

    private void CheckMembership()
    {
        if (_membership != _client.Memberships) throw new ExcludedException("the transaction was aborted with it", outcomeUnknown: false);
    }

    private Turn Take()
    {
        if (_isOver) throw new InvalidOperationException("The transaction has ended. Begin another one.");
        if (Interlocked.Exchange(ref _busy, 1) != 0)
            throw new InvalidOperationException("A transaction takes one call at a time. Await each call before the next.");
        return new Turn(this);
    }

    private readonly struct Turn(Transaction transaction) : IDisposable
    {
        public void Dispose() => Volatile.Write(ref transaction._busy, 0);
    }

    /// <summary>A value that is locked, as the transaction sees it.</summary>
    private sealed class Held
    {
        public required Cell Cell { get; set; }
        public long Sum { get; set; }
        public bool IsExclusive { get; set; }
    }
}

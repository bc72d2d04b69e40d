// The operations on locks, semaphores and read/write locks. One shell is one owner (or several, with the field `owner`):
// asking twice for the same lock is refused, and a deadlock between shells is found.
using System.Collections.Concurrent;
using Core.Groups;
using Toolkit.Locks;

namespace GroupShell;

/// <summary>Carries out the operations on locks.</summary>
internal sealed class LockOperations(GroupNode node, Answers answers)
{
    private readonly Opened<DistributedLock> _locks = new();
    private readonly Opened<DistributedSemaphore> _semaphores = new();
    private readonly Opened<DistributedReaderWriterLock> _readWriteLocks = new();
    private readonly ConcurrentDictionary<string, LockHold> _holds = new();
    private readonly ConcurrentDictionary<string, LockOwner> _owners = new();
    private int _lastHold;

    public async Task<AnswerFields?> AcquireAsync(CommandFields command, CancellationToken ct)
    {
        LockOwner owner = Owner(command);
        DistributedLock opened = await LockAsync(command, ct).ConfigureAwait(false);
        return Held(await opened.AcquireAsync(owner: owner, ct: ct).ConfigureAwait(false));
    }

    public async Task<AnswerFields?> TryAsync(CommandFields command, CancellationToken ct)
    {
        (LockOwner owner, TimeSpan timeout) = (Owner(command), command.Has("timeout") ? command.Timeout() : TimeSpan.Zero);
        DistributedLock opened = await LockAsync(command, ct).ConfigureAwait(false);

        // A time that is over is an answer here and no error.
        LockHold? hold = await opened.TryAcquireAsync(timeout, owner, CancellationToken.None).ConfigureAwait(false);
        AnswerFields? held = hold is null ? null : Held(hold);
        return json =>
        {
            json.WriteBoolean("acquired", held is not null);
            held?.Invoke(json);
        };
    }

    public async Task<AnswerFields?> WhoAsync(CommandFields command, CancellationToken ct)
    {
        DistributedLock opened = await LockAsync(command, ct).ConfigureAwait(false);
        LockState state = opened.GetState();
        return json =>
        {
            if (state.Holders.Count > 0)
                json.WriteString("holder", state.Holders[0].Node.Name);
            else
                json.WriteNull("holder");
            json.WriteNumber("token", state.Holders.Count > 0 ? state.Holders[0].FencingToken : state.LastToken);
            json.WriteStrings("waiting", state.Waiting.Select(w => w.Name));
        };
    }

    public async Task<AnswerFields?> WaitAsync(CommandFields command, CancellationToken ct)
    {
        LockOwner owner = Owner(command);
        DistributedSemaphore opened = await SemaphoreAsync(command, ct).ConfigureAwait(false);
        return Held(await opened.AcquireAsync(owner: owner, ct: ct).ConfigureAwait(false));
    }

    /// <summary>With a hold: gives it back. With a name alone: one permit more.</summary>
    public async Task<AnswerFields?> SignalAsync(CommandFields command, CancellationToken ct)
    {
        if (command.Has("hold"))
            return await ReleaseAsync(command).ConfigureAwait(false);
        (await SemaphoreAsync(command, ct).ConfigureAwait(false)).Signal();
        return null;
    }

    public async Task<AnswerFields?> ReadAsync(CommandFields command, CancellationToken ct)
    {
        LockOwner owner = Owner(command);
        DistributedReaderWriterLock opened = await ReadWriteAsync(command, ct).ConfigureAwait(false);
        return Held(await opened.AcquireReadLockAsync(owner: owner, ct: ct).ConfigureAwait(false));
    }

    public async Task<AnswerFields?> WriteAsync(CommandFields command, CancellationToken ct)
    {
        LockOwner owner = Owner(command);
        DistributedReaderWriterLock opened = await ReadWriteAsync(command, ct).ConfigureAwait(false);
        return Held(await opened.AcquireWriteLockAsync(owner: owner, ct: ct).ConfigureAwait(false));
    }

    public Task<AnswerFields?> ReleaseAsync(CommandFields command)
    {
        string id = command.Text("hold");
        return _holds.TryRemove(id, out LockHold? hold) && hold.Release()
            ? Task.FromResult<AnswerFields?>(null)
            : throw new ShellException("not-held", $"'{id}' is not held: it was released, or lost, or it never was.");
    }

    private Task<DistributedLock> LockAsync(CommandFields command, CancellationToken ct) =>
        _locks.GetAsync(command.Name("name"), (name, ct) => node.OpenLockAsync(name, ct).AsTask(), ct);

    private Task<DistributedSemaphore> SemaphoreAsync(CommandFields command, CancellationToken ct)
    {
        int permits = command.Count();
        return _semaphores.GetAsync(command.Name("name"), (name, ct) => node.OpenSemaphoreAsync(name, permits, ct).AsTask(), ct);
    }

    private Task<DistributedReaderWriterLock> ReadWriteAsync(CommandFields command, CancellationToken ct) =>
        _readWriteLocks.GetAsync(command.Name("name"), (name, ct) => node.OpenReaderWriterLockAsync(name, ct).AsTask(), ct);

    private LockOwner Owner(CommandFields command) =>
        _owners.GetOrAdd(command.Has("owner") ? command.Text("owner") : node.Name, static name => new LockOwner(name));

    private AnswerFields Held(LockHold hold)
    {
        string id = $"{node.Name}.{Interlocked.Increment(ref _lastHold)}";
        _holds[id] = hold;
        hold.HandleLostToken.Register(() => answers.Event("hold-lost", json =>
        {
            json.WriteString("hold", id);
            json.WriteString("name", hold.Name);
        }));
        return json =>
        {
            json.WriteString("hold", id);
            json.WriteNumber("token", hold.FencingToken);
        };
    }

    /// <summary>The objects that were opened, by name. What could not be opened is tried again.</summary>
    private sealed class Opened<T>
    {
        private readonly ConcurrentDictionary<string, T> _objects = new();

        public async Task<T> GetAsync(string name, Func<string, CancellationToken, Task<T>> open, CancellationToken ct)
        {
            if (_objects.TryGetValue(name, out T? opened))
                return opened;
            return _objects.GetOrAdd(name, await open(name, ct).ConfigureAwait(false));
        }
    }
}

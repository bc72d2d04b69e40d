// For whom locks are held: what makes re-entrance and deadlocks visible.
using Core.Groups;

namespace Toolkit.Locks;

/// <summary>
/// A sequential piece of work that takes several locks, such as one business operation or one transaction. Give it to every
/// acquire of the work: then asking twice for the same lock is refused, and a deadlock with other owners, at any nodes,
/// ends with <see cref="DeadlockException"/> for one of them. While it waits for something an owner is taken to do nothing else.
/// Safe for any thread.
/// </summary>
/// <param name="name">For messages; null: a number.</param>
public sealed class LockOwner(string? name = null)
{
    private static long _last;

    private readonly Lock _gate = new();
    private readonly List<Ticket> _tickets = [];
    private readonly HashSet<string> _exclusive = [];

    /// <summary>Unlike that of any other owner in this process.</summary>
    public long Number { get; } = Interlocked.Increment(ref _last);

    /// <summary>For messages.</summary>
    public string Name => name ?? $"owner {Number}";

    /// <summary>What it has and what it waits for.</summary>
    public IReadOnlyList<Ticket> Tickets
    {
        get
        {
            lock (_gate)
                return [.. _tickets];
        }
    }

    /// <summary>Notes a request of this owner, before it can be in anybody's way.</summary>
    public void Add(Ticket ticket)
    {
        lock (_gate)
            _tickets.Add(ticket);
    }

    /// <summary>Notes that a request is given up, before its release is sent.</summary>
    public void Remove(Ticket ticket)
    {
        lock (_gate)
            _tickets.Remove(ticket);
    }

    /// <exception cref="LockRecursionException">This owner has the object, or waits for it.</exception>
    internal void Enter(string path)
    {
        lock (_gate)
        {
            if (!_exclusive.Add(path))
            {
                throw new LockRecursionException(
                    $"'{path}' is held or asked for by {Name} already, and locks are not re-entrant: it would wait for itself. Pass the hold on, or use another LockOwner for work that may wait for this.");
            }
        }
    }

    internal void Exit(string path)
    {
        lock (_gate)
            _exclusive.Remove(path);
    }
}

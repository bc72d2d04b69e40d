// The replicas of a node, by the name of their group: who opens a name that is open already shares it.
// Keeps: one replica for a name at a time; the last one who closes it leaves the group, and who opens it meanwhile waits for that.
using System.Runtime.CompilerServices;

namespace Core.Groups.Replication;

/// <summary>What is open under one name, and by how many.</summary>
internal sealed class ReplicaEntry(string name, ReplicaLife life)
{
    public string Name => name;
    public ReplicaLife Life => life;
    public int References { get; set; }

    /// <summary>Set when the last reference is gone; ends when the group is left.</summary>
    public Task? Closed { get; set; }
}

/// <summary>The table of one node. Safe for any thread.</summary>
internal sealed class ReplicaTable(GroupNode node)
{
    private static readonly ConditionalWeakTable<GroupNode, ReplicaTable> Tables = [];

    private readonly Lock _gate = new();
    private readonly Dictionary<string, ReplicaEntry> _entries = [];
    private volatile Func<string, ReplicaJoin?>? _choose;

    public static ReplicaTable Of(GroupNode node) => Tables.GetValue(node, static node => new ReplicaTable(node));

    /// <summary>How groups are joined that are opened from now on.</summary>
    public void Use(Func<string, ReplicaJoin?> choose) => _choose = choose;

    /// <summary>Shares what is open, or opens it; <see cref="ReleaseAsync"/> follows once.</summary>
    /// <param name="ct">Ends this caller's wait; the join goes on while another one wants it.</param>
    public async Task<ReplicaEntry> OpenAsync(string name, Func<Replica> create, CancellationToken ct)
    {
        ReplicaEntry entry;
        while ((entry = FindOrBegin(name, create)).Closed is { } closed)
        {
            await closed.WaitAsync(ct).ConfigureAwait(false);
        }

        try
        {
            await entry.Life.Opening.WaitAsync(ct).ConfigureAwait(false);
            return entry;
        }
        catch
        {
            _ = ReleaseAsync(entry); // the caller does not wait for the leave
            throw;
        }
    }

    /// <summary>Gives a reference up. Completes when the group is left, if it was the last.</summary>
    public Task ReleaseAsync(ReplicaEntry entry)
    {
        lock (_gate)
        {
            return --entry.References > 0 ? Task.CompletedTask : entry.Closed = CloseAsync(entry);
        }
    }

    private ReplicaEntry FindOrBegin(string name, Func<Replica> create)
    {
        lock (_gate)
        {
            if (!_entries.TryGetValue(name, out ReplicaEntry? entry) || (entry.Closed is null && entry.Life.IsSpent))
            {
                _entries[name] = entry = new ReplicaEntry(name, new ReplicaLife(node, name, create, _choose?.Invoke(name)));
            }

            if (entry.Closed is null)
            {
                entry.References++;
            }

            return entry;
        }
    }

    private async Task CloseAsync(ReplicaEntry entry)
    {
        await Task.Yield(); // out of the table's gate
        await entry.Life.CloseAsync().ConfigureAwait(false);
        lock (_gate)
        {
            if (_entries.GetValueOrDefault(entry.Name) == entry)
            {
                _entries.Remove(entry.Name);
            }
        }
    }
}

// One process of a simulated site: the managers' table that runs in production, and its parts in the groups.
using Core.Groups;
using Core.Groups.Replication;
using Toolkit.Recovery.Decision;
using Toolkit.Recovery.Logs;

namespace Toolkit.Tests.Recovery.Simulation;

/// <summary>The process.</summary>
internal sealed class RecoveryProcess
{
    private ReadOnlyMemory<byte> _catalogue;
    private Task _writing = Task.CompletedTask;

    public RecoveryProcess(RecoveryWorld world, NodeId id, SimulatedPlatter platter)
    {
        (World, Id) = (world, id);
        Store = new SimulatedStore(platter, world.Weakness);
        _catalogue = platter.Values.GetValueOrDefault(LogNames.Catalogue) ?? TableFormat.EncodeCatalogue(0, []);
        Sides = [.. world.Groups.Select(g => new GroupSide(this, g, GroupLog.OpenAsync(Store, g.Name).AsTask().GetAwaiter().GetResult()))];
    }

    public RecoveryWorld World { get; }

    public NodeId Id { get; }

    public SimulatedStore Store { get; }

    public GroupSide[] Sides { get; }

    /// <summary>The table, once the managers have taken this one in.</summary>
    public RecoveryTable? Table { get; set; }

    public int ManagerCursor { get; set; }

    /// <summary>What it has sent to the managers, and has no place yet.</summary>
    public Queue<Action<RecoveryTable>> ToManagers { get; } = [];

    /// <summary>Its disk has failed, and it has noticed.</summary>
    public bool HasFailed => _writing.IsFaulted || Sides.Any(s => s.HasFailed);

    public Exception? Failure => _writing.Exception?.InnerException ?? Sides.Select(s => s.Failure).FirstOrDefault(f => f is not null);

    public void Introduce()
    {
        ReadOnlyMemory<byte> catalogue = _catalogue;
        Declaration[] own = [.. Sides.Select(s => s.Describe())];
        var manager = new ManagerEntry(Store.Id, IsElector: true, World.Seeds);
        ToManagers.Enqueue(table =>
        {
            var reader = new BodyReader(catalogue);
            (long version, CatalogueEntry[] entries) = TableFormat.ReadCatalogue(ref reader);
            table.Introduce(Id, manager, version, entries, own);
        });
    }

    /// <summary>What the face of the manager does when the table has changed.</summary>
    public void OnTableChanged()
    {
        if (_writing.IsCompleted && Table!.Managers.TryGetValue(Id, out ManagerEntry? self) && self.Stored < Table.Version)
        {
            _writing = WriteAsync(Table.Version, TableFormat.EncodeCatalogue(Table.Version, Table.Catalogue));
        }

        foreach (GroupSide side in Sides) side.OnTableChanged();
    }

    private async Task WriteAsync(long version, byte[] catalogue)
    {
        await Store.WriteAsync(LogNames.Catalogue, catalogue);
        _catalogue = catalogue;
        ToManagers.Enqueue(table => table.Stored(Id, version));
    }
}

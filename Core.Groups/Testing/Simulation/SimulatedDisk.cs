// The stable store of one simulated node: it outlives the incarnations, and loses what a crash finds unsynced.
// Keeps: what was reported as stored is there for ever; of what was not, a crash leaves any prefix (it may have been written
// all the same). A write takes the place of the one before in one step, as the file store promises: there is no half of one.
namespace Core.Groups.Testing.Simulation;

/// <summary>How disks behave.</summary>
internal sealed record DiskProfile
{
    /// <summary>How long a write takes at most until it is synced.</summary>
    public TimeSpan SyncTime { get; init; } = TimeSpan.FromMilliseconds(4);
    /// <summary>How often a write takes up to <see cref="SlowTime"/>.</summary>
    public double SlowChance { get; init; } = 0.05;
    /// <summary>How long a slow write takes at most.</summary>
    public TimeSpan SlowTime { get; init; } = TimeSpan.FromMilliseconds(600);
    /// <summary>How often a sync fails, which ends the process.</summary>
    public double FailureChance { get; init; }
}

/// <summary>A disk with one value on it.</summary>
internal sealed class SimulatedDisk(VirtualTime time, SimulationRandom random, DiskProfile profile)
{
    private readonly Queue<ReadOnlyMemory<byte>> unsynced = [];
    private TimeSpan busyUntil;
    private long life;
    private bool isSound;

    /// <summary>The id of the store.</summary>
    public ulong Id { get; } = random.NextULong() | 1;

    /// <summary>What a process that starts now reads.</summary>
    public ReadOnlyMemory<byte> Content { get; private set; }

    /// <summary>Writes in order. Exactly one of the two is called later, unless a crash comes first.</summary>
    public void Write(ReadOnlyMemory<byte> record, Action synced, Action failed)
    {
        unsynced.Enqueue(record);
        bool fails = random.Chance(profile.FailureChance);
        TimeSpan takes = random.Between(TimeSpan.Zero, random.Chance(profile.SlowChance) ? profile.SlowTime : profile.SyncTime);
        busyUntil = (busyUntil > time.Now ? busyUntil : time.Now) + takes;
        long now = life;
        time.At(busyUntil, () =>
        {
            if (now != life) return;
            if (fails && !isSound)
            {
                failed();
                return;
            }
            Content = unsynced.Dequeue();
            synced();
        });
    }

    /// <summary>From now on no sync fails.</summary>
    public void Repair() => isSound = true;

    /// <summary>The process goes on as another incarnation: it knows what it has written, synced or not.</summary>
    public ReadOnlyMemory<byte> Latest => unsynced.Count > 0 ? unsynced.Last() : Content;

    /// <summary>The process is gone: of what was not synced, a random prefix is there all the same.</summary>
    public void Crash()
    {
        for (int kept = random.Below(unsynced.Count + 1); kept > 0; kept--) Content = unsynced.Dequeue();
        unsynced.Clear();
        life++;
        busyUntil = time.Now;
    }
}

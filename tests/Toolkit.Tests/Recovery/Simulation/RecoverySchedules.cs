// Schedules for the recovery world: random ones, and every order of three crashes at every step.
namespace Toolkit.Tests.Recovery.Simulation;

internal static class RecoverySchedules
{
    /// <summary>Random troubles and traffic, then everybody is there again and must come to rest.</summary>
    public static RecoveryWorld Random(ulong seed, int sites, int steps = 400, Weakness weakness = Weakness.None)
    {
        var random = new Random((int)seed);
        int groups = 1 + (int)(seed % 3 / 2); // two groups in every third run
        var world = new RecoveryWorld(sites, random.Next, weakness, groups);
        for (int site = 0; site < sites; site++) world.Start(site);
        int calm = 1 + (int)(seed / 3 % 4); // the calmer, the longer
        for (int i = 0; i < steps * groups * calm && world.Violations.Count == 0; i++) Act(world, random, sites, groups, calm);
        return End(world, sites, groups);
    }

    /// <summary>Three members at work; the first, second and third of an order die after so many steps each; they start again in an order.</summary>
    public static RecoveryWorld Crashes(ReadOnlySpan<int> order, ReadOnlySpan<int> after, ReadOnlySpan<int> restart, Weakness weakness = Weakness.None)
    {
        var random = new Random(1);
        var world = new RecoveryWorld(3, random.Next, weakness);
        for (int site = 0; site < 3; site++) world.Start(site);
        int next = 0;
        for (int i = 0; i < 3; i++)
        {
            for (int step = 0; step < after[i]; step++)
            {
                if (step % 7 == 6) world.TryUpdate(next++ % 3, 0);
                if (step % 40 == 39) world.TryCheckpoint(next % 3, 0);
                Step(world, random.Next);
            }

            world.Crash(order[i]);
        }

        foreach (int site in restart)
        {
            world.Start(site);
            world.Settle(limit: 40);
        }

        return End(world, 3, 1);
    }

    private static void Act(RecoveryWorld world, Random random, int sites, int groups, int calm)
    {
        (int site, int group) = (random.Next(sites), random.Next(groups));
        switch (random.Next(200 * calm))
        {
            case < 5:
                world.Crash(site);
                break;
            case < 9:
                world.CutOff(site);
                break;
            case < 10:
                world.FailDisk(site);
                break;
            case < 12:
                world.SlowDown(site, isSlow: random.Next(2) == 0);
                break;
            case < 22 when !world.IsUp(site):
                world.Start(site);
                break;
            case 22 or 23 or 24 or 25:
                CrashAll(world, random, sites);
                break;
            case 26:
                world.Override(site, group);
                break;
            case < 34 and > 26:
            case > 180 when random.Next(40) == 0:
                world.TryCheckpoint(site, group);
                break;
            case 34 or 35 or 36:
            case > 180 when random.Next(40) == 0:
                world.TryRollBack(site, group);
                break;
            case < 52:
            case > 180 when random.Next(10) == 0:
                world.TryUpdate(site, group);
                break;
            default:
                Step(world, random.Next);
                break;
        }
    }

    private static RecoveryWorld End(RecoveryWorld world, int sites, int groups)
    {
        for (int round = 0; round < 2 && world.Violations.Count == 0; round++)
        {
            for (int site = 0; site < sites; site++)
            {
                if (round == 0 && world.IsCutOff(site)) world.Crash(site);
                if (!world.IsUp(site)) world.Start(site);
                for (int group = 0; round == 1 && group < groups; group++) world.TryUpdate(site, group);
            }

            if (!world.Settle() && world.Violations.Count == 0) world.Violations.Add("It does not come to rest.");
            for (int site = 0; site < sites; site++) Restart(world, site); // whose disk had failed
            if (world.Violations.Count > 0) continue;
            foreach (GroupWorld group in world.Groups) group.CheckEnd(isAfterUpdates: round == 1);
        }

        return world;
    }

    private static void Restart(RecoveryWorld world, int site)
    {
        if (world.IsUp(site)) return;
        world.Start(site);
        if (!world.Settle() && world.Violations.Count == 0) world.Violations.Add("It does not come to rest.");
    }

    private static void CrashAll(RecoveryWorld world, Random random, int sites)
    {
        int[] order = [.. Enumerable.Range(0, sites)];
        random.Shuffle(order);
        foreach (int site in order)
        {
            for (int steps = random.Next(12); steps > 0; steps--) Step(world, random.Next);
            world.Crash(site);
        }
    }

    private static void Step(RecoveryWorld world, Func<int, int> below)
    {
        List<Action> steps = world.Steps();
        if (steps.Count > 0) steps[below(steps.Count)]();
    }
}

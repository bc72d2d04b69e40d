// Schedules for the recovery world: random ones, and every order of three crashes at every step.
namespace Toolkit.Tests.Recovery.Simulation;

internal static class RecoverySchedules
{
    /// <summary>Random troubles and traffic, then everybody is there again and must come to rest.</summary>
    public static RecoveryWorld Random(ulong seed, int sites, int steps = 400, Weakness weakness = Weakness.None)
    {
        var random = new Random((int)seed);
        var world = new RecoveryWorld(sites, random.Next, weakness);
        for (int site = 0; site < sites; site++) world.Start(site);
        for (int i = 0; i < steps && world.Violations.Count == 0; i++)
        {
            int site = random.Next(sites);
            switch (random.Next(40))
            {
                case 0:
                    world.Crash(site);
                    break;
                case 1:
                    world.CutOff(site);
                    break;
                case 2 or 3 when !world.IsUp(site):
                    world.Start(site);
                    break;
                case 4:
                    CrashAll(world, random, sites);
                    break;
                case 5 or 6 or 7 or 8:
                    world.TryUpdate(site);
                    break;
                default:
                    Step(world, random.Next);
                    break;
            }
        }

        return End(world, sites);
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
                if (step % 7 == 6) world.TryUpdate(next++ % 3);
                Step(world, random.Next);
            }

            world.Crash(order[i]);
        }

        foreach (int site in restart)
        {
            world.Start(site);
            world.Settle(limit: 40);
        }

        return End(world, 3);
    }

    private static RecoveryWorld End(RecoveryWorld world, int sites)
    {
        for (int round = 0; round < 2 && world.Violations.Count == 0; round++)
        {
            for (int site = 0; site < sites; site++)
            {
                if (round == 0 && world.IsCutOff(site)) world.Crash(site);
                if (!world.IsUp(site)) world.Start(site);
                if (round == 1) world.TryUpdate(site);
            }

            if (!world.Settle() && world.Violations.Count == 0) world.Violations.Add("It does not come to rest.");
            if (world.Violations.Count == 0) world.CheckEnd();
        }

        return world;
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

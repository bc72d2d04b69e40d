namespace Core.Groups.Testing.Simulation;

/// <summary>How fast a simulated network is.</summary>
internal sealed record NetworkProfile
{
    /// <summary>The least delay of a frame.</summary>
    public TimeSpan MinimumDelay { get; init; } = TimeSpan.FromMicroseconds(50);
    /// <summary>The delay that most frames stay under.</summary>
    public TimeSpan UsualDelay { get; init; } = TimeSpan.FromMicroseconds(500);
    /// <summary>The delay that late frames stay under.</summary>
    public TimeSpan LateDelay { get; init; } = TimeSpan.FromMilliseconds(30);
    /// <summary>How often a frame is late.</summary>
    public double LateChance { get; init; } = 0.01;
    /// <summary>The transmission time of one byte (8 ns: a gigabit a second).</summary>
    public double NanosecondsPerByte { get; init; } = 8;
    /// <summary>How long a dial that nobody answers goes on.</summary>
    public TimeSpan DialTimeout { get; init; } = TimeSpan.FromSeconds(3);

    /// <summary>The delay of one frame, drawn anew for each.</summary>
    public TimeSpan Draw(SimulationRandom random, int bytes = 0)
    {
        TimeSpan limit = random.Chance(LateChance) ? LateDelay : UsualDelay;
        return random.Between(MinimumDelay, limit) + TimeSpan.FromTicks((long)(bytes * NanosecondsPerByte / 100));
    }
}

// The one source of chance in a simulated world: xoshiro256**, seeded through splitmix64 (Blackman, Vigna).
// Keeps: the same seed gives the same numbers on every platform and in every version of .NET.
namespace Core.Groups.Testing.Simulation;

/// <summary>A small seeded generator. Not for secrets, not thread-safe.</summary>
public sealed class SimulationRandom
{
    private ulong s0, s1, s2, s3;

    /// <summary>A generator that gives the same numbers for the same seed.</summary>
    public SimulationRandom(ulong seed)
    {
        s0 = Mix(ref seed);
        s1 = Mix(ref seed);
        s2 = Mix(ref seed);
        s3 = Mix(ref seed);
    }

    /// <summary>A generator of its own: what one part of the world draws does not shift what another part gets.</summary>
    public SimulationRandom Fork() => new(NextULong());

    /// <summary>64 random bits.</summary>
    public ulong NextULong()
    {
        ulong result = ulong.RotateLeft(s1 * 5, 7) * 9;
        ulong t = s1 << 17;
        s2 ^= s0;
        s3 ^= s1;
        s1 ^= s2;
        s0 ^= s3;
        s2 ^= t;
        s3 = ulong.RotateLeft(s3, 45);
        return result;
    }

    /// <summary>0 up to, not including, <paramref name="bound"/>.</summary>
    public int Below(int bound) => (int)Math.BigMul(NextULong(), (ulong)bound, out _);

    /// <summary>Both ends included.</summary>
    public int Between(int low, int high) => low + Below(high - low + 1);

    /// <summary>True with this probability, from 0 to 1.</summary>
    public bool Chance(double probability) => (NextULong() >> 11) * (1.0 / (1UL << 53)) < probability;

    /// <summary>Both ends included.</summary>
    public TimeSpan Between(TimeSpan low, TimeSpan high) =>
        low + TimeSpan.FromTicks((long)Math.BigMul(NextULong(), (ulong)(high - low).Ticks + 1, out _));

    /// <summary>One of these.</summary>
    public T Pick<T>(IReadOnlyList<T> from) => from[Below(from.Count)];

    /// <summary>Puts them in a random order.</summary>
    public void Shuffle<T>(IList<T> list)
    {
        for (int i = list.Count - 1; i > 0; i--)
        {
            int j = Below(i + 1);
            (list[i], list[j]) = (list[j], list[i]);
        }
    }

    private static ulong Mix(ref ulong state)
    {
        ulong z = state += 0x9E3779B97F4A7C15;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}

namespace TaskFarm;

/// <summary>What is to be computed: job n counts the primes among the n-th thousand numbers.</summary>
internal static class Job
{
    private const int Width = 1000;

    public static long Answer(long number)
    {
        long primes = 0;
        for (long candidate = number * Width; candidate < (number + 1) * Width; candidate++)
            primes += IsPrime(candidate) ? 1 : 0;
        return primes;
    }

    private static bool IsPrime(long candidate)
    {
        for (long divisor = 2; divisor * divisor <= candidate; divisor++)
        {
            if (candidate % divisor == 0)
                return false;
        }

        return candidate > 1;
    }
}

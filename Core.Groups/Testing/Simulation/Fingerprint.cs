namespace Core.Groups.Testing.Simulation;

/// <summary>A running hash (FNV-1a) of all that was sent and seen in a run: two runs of one seed have the same.</summary>
internal sealed class Fingerprint
{
    private ulong hash = 14695981039346656037;

    public ulong Value => hash;

    public void Add(ReadOnlySpan<byte> bytes)
    {
        foreach (byte b in bytes) hash = (hash ^ b) * 1099511628211;
    }

    public void Add(string text)
    {
        foreach (char c in text) hash = (hash ^ c) * 1099511628211;
    }

    public void Add(long number) => hash = (hash ^ (ulong)number) * 1099511628211;
}

// The settings that two nodes must share, and what is said when they do not.
// Follows: protocol.md, section 6 (electorate: "all members must have the same setting, else a clear error").
// A node without seeds has no electorate, so it goes with any.
using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Text;

namespace Core.Groups.Transport;

/// <summary>Settings as they travel in a handshake. The seeds travel as a fingerprint.</summary>
/// <param name="SeedCount">How many different seeds there are.</param>
/// <param name="SeedsHigh">The first half of the fingerprint.</param>
/// <param name="SeedsLow">The second half of the fingerprint.</param>
internal readonly record struct ClusterSettings(byte Mode, int MaximumFrame, int MinimumPrimaryWeight, int SeedCount, long SeedsHigh, long SeedsLow)
{
    /// <summary>The settings of a node. The order and the spelling of its seeds do not matter.</summary>
    public static ClusterSettings Of(TcpTransportOptions options)
    {
        ImmutableArray<string> seeds = [.. options.Seeds.Select(HostPort.Normalise).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)];
        byte[] hash = SHA256.HashData(Encoding.UTF8.GetBytes(string.Join('\n', seeds)));
        return new ClusterSettings(
            options.Mode, options.MaximumFrame, options.MinimumPrimaryWeight, seeds.Length, BitConverter.ToInt64(hash, 0), BitConverter.ToInt64(hash, 8));
    }

    /// <summary>Null if the two go together, else what differs, from the side of this one.</summary>
    public string? ConflictWith(ClusterSettings peer)
    {
        bool bothHaveSeeds = SeedCount > 0 && peer.SeedCount > 0;
        return this switch
        {
            _ when Mode != peer.Mode => $"the modes differ: {Mode} here, {peer.Mode} there",
            _ when MaximumFrame != peer.MaximumFrame => $"the maximum frames differ: {MaximumFrame} bytes here, {peer.MaximumFrame} there",
            _ when bothHaveSeeds && (SeedCount, SeedsHigh, SeedsLow) != (peer.SeedCount, peer.SeedsHigh, peer.SeedsLow)
                => $"the seeds differ: {SeedCount} here, {peer.SeedCount} there; all nodes must be given the same seeds, or none",
            _ when bothHaveSeeds && MinimumPrimaryWeight != peer.MinimumPrimaryWeight
                => $"the minimum primary weights differ: {MinimumPrimaryWeight} here, {peer.MinimumPrimaryWeight} there (0: a majority of the seeds)",
            _ => null,
        };
    }

    internal void Write(BinaryWriter writer)
    {
        writer.Write(Mode);
        writer.Write(MaximumFrame);
        writer.Write(MinimumPrimaryWeight);
        writer.Write(SeedCount);
        writer.Write(SeedsHigh);
        writer.Write(SeedsLow);
    }

    internal static ClusterSettings Read(ref HandshakeReader reader) =>
        new(reader.Byte(), reader.Int32(), reader.Int32(), reader.Int32(), reader.Int64(), reader.Int64());
}

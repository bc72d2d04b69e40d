// What is kept of a cache's entry: its expiration, when it was set, and its bytes; and of an access that was told.
// Keeps: bytes that nobody of this library wrote are an entry that has expired.
using System.Buffers;
using System.Buffers.Binary;
using System.Text;
using Core.Groups;
using Microsoft.Extensions.Caching.Distributed;

namespace Toolkit.ReplicatedData.Caching;

/// <summary>An entry. All times are ticks of UTC by the clock of the node that set it.</summary>
/// <param name="Absolute">When it expires, whether or not it is used.</param>
/// <param name="Sliding">After how many ticks without an access it expires; 0: never.</param>
/// <param name="SetAt">When it was set.</param>
/// <param name="Body">Its bytes.</param>
internal sealed record CacheEntry(long Absolute, long Sliding, long SetAt, ReadOnlyMemory<byte> Body)
{
    /// <summary>An entry as it is to be set now.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The absolute expiration has passed.</exception>
    public static CacheEntry Create(ReadOnlyMemory<byte> body, DistributedCacheEntryOptions options, TimeSpan? defaultSliding, DateTimeOffset now)
    {
        if (options.AbsoluteExpiration <= now && options.AbsoluteExpirationRelativeToNow is null)
        {
            throw new ArgumentOutOfRangeException(
                nameof(options), options.AbsoluteExpiration, $"{nameof(options.AbsoluteExpiration)} must be in the future; it is {now:O} now.");
        }

        long absolute = options switch
        {
            { AbsoluteExpirationRelativeToNow: { } after } => after < DateTimeOffset.MaxValue - now ? now.UtcTicks + after.Ticks : long.MaxValue,
            { AbsoluteExpiration: { } at } => at.UtcTicks,
            _ => long.MaxValue,
        };
        TimeSpan? sliding = options.SlidingExpiration ?? (absolute == long.MaxValue ? defaultSliding : null);
        return new CacheEntry(absolute, sliding?.Ticks ?? 0, now.UtcTicks, body);
    }

    /// <summary>Whether it has expired.</summary>
    /// <param name="lastAccess">The last access that was told.</param>
    /// <param name="now">The time.</param>
    public bool IsExpired(long lastAccess, long now) => now >= Absolute || (Sliding > 0 && now - lastAccess >= Sliding);
}

/// <summary>An access to an entry with a sliding expiration.</summary>
/// <param name="Version">The entry's version: an access to what was there before says nothing of what is there now.</param>
/// <param name="At">When, in ticks of UTC.</param>
internal readonly record struct CacheAccess(long Version, long At);

/// <summary>Entries and accesses as bytes.</summary>
internal sealed class CacheSerializer : IPayloadSerializer
{
    private const byte Format = 1;
    private const int Header = 1 + (3 * sizeof(long));

    private static readonly CacheEntry Unreadable = new(Absolute: 0, Sliding: 0, SetAt: 0, Body: default);

    public static CacheSerializer Instance { get; } = new();

    public void Serialize<T>(T value, IBufferWriter<byte> output)
    {
        switch (value)
        {
            case string key:
                Encoding.UTF8.GetBytes(key, output);
                break;
            case CacheEntry entry:
                Span<byte> header = output.GetSpan(Header);
                header[0] = Format;
                BinaryPrimitives.WriteInt64LittleEndian(header[1..], entry.Absolute);
                BinaryPrimitives.WriteInt64LittleEndian(header[9..], entry.Sliding);
                BinaryPrimitives.WriteInt64LittleEndian(header[17..], entry.SetAt);
                output.Advance(Header);
                output.Write(entry.Body.Span);
                break;
            case CacheAccess access:
                Span<byte> both = output.GetSpan(2 * sizeof(long));
                BinaryPrimitives.WriteInt64LittleEndian(both, access.Version);
                BinaryPrimitives.WriteInt64LittleEndian(both[8..], access.At);
                output.Advance(2 * sizeof(long));
                break;
            default:
                throw new NotSupportedException($"A cache does not hold a {typeof(T)}.");
        }
    }

    public T Deserialize<T>(ReadOnlyMemory<byte> body)
    {
        if (typeof(T) == typeof(string)) return (T)(object)Encoding.UTF8.GetString(body.Span);
        if (typeof(T) == typeof(CacheEntry)) return (T)(object)ReadEntry(body);
        if (typeof(T) == typeof(CacheAccess)) return (T)(object)ReadAccess(body.Span);
        throw new NotSupportedException($"A cache does not hold a {typeof(T)}.");
    }

    private static CacheEntry ReadEntry(ReadOnlyMemory<byte> body)
    {
        ReadOnlySpan<byte> header = body.Span;
        if (header.Length < Header || header[0] != Format) return Unreadable;
        return new CacheEntry(
            BinaryPrimitives.ReadInt64LittleEndian(header[1..]), BinaryPrimitives.ReadInt64LittleEndian(header[9..]),
            BinaryPrimitives.ReadInt64LittleEndian(header[17..]), body[Header..]);
    }

    private static CacheAccess ReadAccess(ReadOnlySpan<byte> body) => body.Length == 2 * sizeof(long)
        ? new CacheAccess(BinaryPrimitives.ReadInt64LittleEndian(body), BinaryPrimitives.ReadInt64LittleEndian(body[8..]))
        : default;
}

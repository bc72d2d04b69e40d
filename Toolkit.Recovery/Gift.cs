// What a joiner of a logged group is given: the state, or only the records that its own log lacks; piece by piece.
// Keeps: what comes from another member is read within bounds, or is a FormatException.
using System.Buffers.Binary;
using Core.Groups;
using Toolkit.Recovery.Logs;

namespace Toolkit.Recovery;

/// <summary>Makes it.</summary>
internal static class Gift
{
    /// <summary>The state.</summary>
    public static StateSnapshot OfState(StatePlace place, StateSnapshot state) =>
        new(Block(LogFormat.EncodeGift(place, null)).Concat(state.Pieces), state.Length);

    /// <summary>The records of a log behind a cut.</summary>
    public static StateSnapshot OfRecords(GroupLog log, LoggedCut since) =>
        new(Block(LogFormat.EncodeGift(log.Place!, since)).Concat(log.ReadSince(since).SelectMany(Blocks)));

    private static IAsyncEnumerable<ReadOnlyMemory<byte>> Block(byte[] bytes) => Blocks(bytes).ToAsyncEnumerable();

    private static IEnumerable<ReadOnlyMemory<byte>> Blocks(ReadOnlyMemory<byte> bytes)
    {
        byte[] length = new byte[sizeof(int)];
        BinaryPrimitives.WriteInt32LittleEndian(length, bytes.Length);
        return [length, bytes];
    }
}

/// <summary>Reads it.</summary>
internal sealed class GiftReader(IAsyncEnumerable<ReadOnlyMemory<byte>> pieces) : IAsyncDisposable
{
    private const int LargestBlock = 64 << 20; // a record

    private readonly IAsyncEnumerator<ReadOnlyMemory<byte>> _pieces = pieces.GetAsyncEnumerator();
    private ReadOnlyMemory<byte> _rest;

    /// <summary>The next block; null: there is none.</summary>
    public async ValueTask<byte[]?> ReadBlockAsync()
    {
        if (!await NextAsync().ConfigureAwait(false)) return null;
        byte[] length = await ReadAsync(sizeof(int)).ConfigureAwait(false);
        int size = BinaryPrimitives.ReadInt32LittleEndian(length);
        return size is < 0 or > LargestBlock ? throw new FormatException($"A block of {size} bytes is none.") : await ReadAsync(size).ConfigureAwait(false);
    }

    /// <summary>What is left.</summary>
    public async IAsyncEnumerable<ReadOnlyMemory<byte>> ReadRestAsync()
    {
        while (await NextAsync().ConfigureAwait(false))
        {
            ReadOnlyMemory<byte> piece = _rest;
            _rest = default;
            yield return piece;
        }
    }

    public ValueTask DisposeAsync() => _pieces.DisposeAsync();

    private async ValueTask<byte[]> ReadAsync(int size)
    {
        byte[] bytes = new byte[size];
        for (int at = 0; at < size;)
        {
            if (!await NextAsync().ConfigureAwait(false)) throw new FormatException("What another member gave ends in the middle.");
            int part = Math.Min(_rest.Length, size - at);
            _rest[..part].CopyTo(bytes.AsMemory(at));
            (_rest, at) = (_rest[part..], at + part);
        }

        return bytes;
    }

    private async ValueTask<bool> NextAsync()
    {
        while (_rest.IsEmpty)
        {
            if (!await _pieces.MoveNextAsync().ConfigureAwait(false)) return false;
            _rest = _pieces.Current;
        }

        return true;
    }
}

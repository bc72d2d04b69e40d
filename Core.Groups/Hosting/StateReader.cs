// A large state as the joiner's application reads it.
// Keeps: what has come and was not read is bounded by the protocol's window; a reader never waits for what will not come.
using System.Threading.Channels;
using Core.Groups.Hosting;

namespace Core.Groups;

/// <summary>
/// The pieces of a group's state, in order, as the donor gave them or cut smaller. Read it once. When the donor fails, the enumeration
/// throws <see cref="OperationCanceledException"/>: let it through, and drop what was read; the callback is called again with the state of a
/// new donor, from its beginning.
/// </summary>
public sealed class StateReader : IAsyncEnumerable<ReadOnlyMemory<byte>>
{
    private const int TellEvery = 128 << 10;

    private readonly IAsyncEnumerable<ReadOnlyMemory<byte>>? _local;
    private readonly Channel<ReadOnlyMemory<byte>> _pieces = Channel.CreateUnbounded<ReadOnlyMemory<byte>>(new UnboundedChannelOptions { SingleReader = true, SingleWriter = true });
    private readonly NodeHost? _host;
    private readonly GroupMembership? _membership;
    private readonly StateTransfer? _transfer;
    private readonly int _generation;
    private long _bytes;
    private int _untold;
    private volatile bool _isVoid;

    internal StateReader(NodeHost host, GroupMembership membership, StateTransfer? transfer, long? length, int generation)
    {
        _host = host;
        _membership = membership;
        _transfer = transfer;
        _generation = generation;
        Length = length;
    }

    /// <summary>A state that is here.</summary>
    internal StateReader(IAsyncEnumerable<ReadOnlyMemory<byte>> local, long? length = null) => (_local, Length) = (local, length);

    /// <summary>The size in bytes that the donor expects; null: it does not know.</summary>
    public long? Length { get; }

    /// <summary>The donor is gone, or the membership is.</summary>
    internal bool IsVoid => _isVoid;

    internal void Add(ReadOnlyMemory<byte> piece) => _pieces.Writer.TryWrite(piece);

    internal void Complete() => _pieces.Writer.TryComplete();

    /// <summary>What the donor put before the state, once and first.</summary>
    internal async ValueTask<byte> ReadKindAsync()
    {
        ReadOnlyMemory<byte> first = await _pieces.Reader.ReadAsync().ConfigureAwait(false);
        return first.Length == 1 ? first.Span[0] : throw new InvalidOperationException("the state does not begin as one.");
    }

    internal void Break()
    {
        if (_pieces.Writer.TryComplete(new OperationCanceledException("The member that gave the state is gone; another one begins anew.")))
        {
            _isVoid = true;
        }
    }

    /// <summary>Passes over what the application has not read.</summary>
    internal async ValueTask DrainAsync()
    {
        await foreach (ReadOnlyMemory<byte> _ in this.ConfigureAwait(false))
        {
        }

        Report(isComplete: true);
    }

    /// <inheritdoc/>
    public async IAsyncEnumerator<ReadOnlyMemory<byte>> GetAsyncEnumerator(CancellationToken cancellationToken = default)
    {
        if (_local is not null)
        {
            await foreach (ReadOnlyMemory<byte> piece in _local.WithCancellation(cancellationToken).ConfigureAwait(false))
            {
                yield return piece;
            }

            yield break;
        }

        while (await _pieces.Reader.WaitToReadAsync(cancellationToken).ConfigureAwait(false))
        {
            while (!_isVoid && _pieces.Reader.TryRead(out ReadOnlyMemory<byte> piece))
            {
                yield return piece;
                Taken(piece.Length);
            }

            if (_isVoid)
            {
                throw new OperationCanceledException("The member that gave the state is gone; another one begins anew.");
            }
        }
    }

    private void Taken(int bytes)
    {
        _bytes += bytes;
        _untold += bytes;
        if (_untold < TellEvery)
        {
            return;
        }

        _host?.Loop.Post(new NodeInput { Kind = InputKind.StateTaken, Group = _membership!.Id, Number = _untold, Generation = _generation });
        _untold = 0;
        Report(isComplete: false);
    }

    private void Report(bool isComplete)
    {
        if (_host is { } host)
        {
            _transfer?.Report(host, new StateProgress(_membership!.Name, IsDonor: false, _bytes, Length, isComplete));
        }
    }
}

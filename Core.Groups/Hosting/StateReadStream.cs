// The pieces of a large state as a stream to read from.
namespace Core.Groups.Hosting;

/// <summary>Reads forward only. A synchronous read waits for the network: prefer the asynchronous ones.</summary>
internal sealed class StateReadStream(StateReader reader) : Stream
{
    private readonly IAsyncEnumerator<ReadOnlyMemory<byte>> _pieces = reader.GetAsyncEnumerator();
    private ReadOnlyMemory<byte> _rest;

    public override bool CanRead => true;
    public override bool CanSeek => false;
    public override bool CanWrite => false;
    public override long Length => throw new NotSupportedException("The length of a state that is on its way is not known; StateReader.Length is what the donor expects.");

    public override long Position
    {
        get => throw new NotSupportedException("A state is read forward only.");
        set => throw new NotSupportedException("A state is read forward only.");
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        while (_rest.IsEmpty)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (!await _pieces.MoveNextAsync().ConfigureAwait(false))
            {
                return 0;
            }

            _rest = _pieces.Current;
        }

        int taken = Math.Min(buffer.Length, _rest.Length);
        _rest[..taken].CopyTo(buffer);
        _rest = _rest[taken..];
        return taken;
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override int Read(byte[] buffer, int offset, int count) => ReadAsync(buffer.AsMemory(offset, count)).AsTask().GetAwaiter().GetResult();

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException("A state is read forward only.");

    public override void SetLength(long value) => throw new NotSupportedException("A state is read only.");

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException("A state is read only.");
}

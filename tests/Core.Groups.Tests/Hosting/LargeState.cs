// States of many megabytes for tests, made piece by piece.
using System.Security.Cryptography;
using System.Text;

namespace Core.Groups.Tests.Hosting;

internal static class LargeState
{
    private const int PieceSize = 100_000; // larger than the protocol's pieces, and no multiple of them

    public static async IAsyncEnumerable<ReadOnlyMemory<byte>> Generate(long bytes, IncrementalHash? hash = null)
    {
        var piece = new byte[PieceSize];
        for (long at = 0; at < bytes; at += piece.Length)
        {
            await Task.Yield();
            BitConverter.TryWriteBytes(piece, at);
            ReadOnlyMemory<byte> next = piece.AsSpan(0, (int)Math.Min(PieceSize, bytes - at)).ToArray();
            hash?.AppendData(next.Span);
            yield return next;
        }
    }

    /// <summary>A member that has such a state, or takes it over.</summary>
    public static async Task<(ProcessGroup Group, FirstLetters Seen)> DonateAsync(GroupNode node, long bytes, Action<StateProgress>? onProgress = null)
    {
        var seen = new FirstLetters();
        ProcessGroup group = await node.JoinAsync("/large", new GroupOptions
        {
            State = StateTransfer.Stream(() => ValueTask.FromResult(new StateSnapshot(Generate(bytes), bytes)), DrainAsync, onProgress: onProgress),
            Configure = g => g.OnMessage(seen.Add),
        }).AsTask().WaitAsync(RealCluster.Patience);
        return (group, seen);
    }

    public static async ValueTask DrainAsync(StateReader reader)
    {
        await foreach (ReadOnlyMemory<byte> _ in reader)
        {
        }
    }

    /// <summary>The first five letters of each message that a member was given, up to the one that ends them.</summary>
    internal sealed class FirstLetters
    {
        private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly List<string> _texts = [];

        public ValueTask Add(GroupMessage message)
        {
            _texts.Add(Encoding.UTF8.GetString(message.Body.Span[..5]));
            if (_texts[^1] == "ended")
                _ended.TrySetResult();
            return default;
        }

        public async Task<List<string>> WhenEndedAsync()
        {
            await _ended.Task.WaitAsync(RealCluster.Patience);
            return _texts;
        }
    }
}

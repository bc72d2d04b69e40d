// A sequence of states that any number of readers follow, each at its own pace.
// Keeps: a reader sees the present state first and then every later one; nothing is held for readers that are gone.
using System.Runtime.CompilerServices;

namespace Core.Groups.Hosting;

/// <summary>Publishes states; each points to the next, so a reader holds exactly what it has not read.</summary>
internal sealed class Broadcast<T> where T : class
{
    private Link _latest = new(null);

    /// <summary>The present state; null before the first.</summary>
    public T? Present => Volatile.Read(ref _latest).Value;

    /// <summary>One caller at a time.</summary>
    public void Publish(T value)
    {
        Link previous = _latest;
        var link = new Link(value);
        Volatile.Write(ref _latest, link);
        previous.Next.TrySetResult(link);
    }

    /// <summary>Ends all readers after the present state.</summary>
    public void Complete() => _latest.Next.TrySetResult(null);

    /// <summary>The present state, if there is one, then every later one.</summary>
    public async IAsyncEnumerable<T> ReadAsync([EnumeratorCancellation] CancellationToken ct)
    {
        Link? link = Volatile.Read(ref _latest);
        while (link is not null)
        {
            ct.ThrowIfCancellationRequested();
            if (link.Value is { } value)
            {
                yield return value;
            }

            link = await link.Next.Task.WaitAsync(ct).ConfigureAwait(false);
        }
    }

    private sealed class Link(T? value)
    {
        private TaskCompletionSource<Link?>? _next; // made when it is asked for: a node may be in thousands of groups, of which nobody reads the views

        public T? Value { get; } = value;
        public TaskCompletionSource<Link?> Next => LazyInitializer.EnsureInitialized(ref _next, static () => new(TaskCreationOptions.RunContinuationsAsynchronously));
    }
}

// Objects of the toolkits by their names: each is opened at its first use, and stays open.
// Keeps: one opening at a time for a name; one that fails, or that nobody waited for, leaves nothing behind.
namespace GroupShell;

/// <summary>The open objects of one kind. Safe for any thread.</summary>
internal sealed class Once<T> where T : class
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, Task<T>> _open = [];

    /// <summary>Opens the object, or waits for who is opening it.</summary>
    public Task<T> OpenAsync(string name, Func<ValueTask<T>> open, CancellationToken ct)
    {
        Task<T> opening;
        lock (_gate)
        {
            if (!_open.TryGetValue(name, out opening!) || opening.IsFaulted || opening.IsCanceled)
                _open[name] = opening = Task.Run(() => open().AsTask(), CancellationToken.None);
        }

        return opening.WaitAsync(ct);
    }

    /// <summary>What is open, or being opened; null: nothing.</summary>
    public async Task<T?> FindAsync(string name, CancellationToken ct)
    {
        Task<T>? opening;
        lock (_gate)
            opening = _open.GetValueOrDefault(name);
        return opening is null or { IsFaulted: true } or { IsCanceled: true } ? null : await opening.WaitAsync(ct).ConfigureAwait(false);
    }

    /// <summary>What was open, which is not any more: the caller ends it. Null: nothing was.</summary>
    public async Task<T?> CloseAsync(string name, CancellationToken ct)
    {
        T? open = await FindAsync(name, ct).ConfigureAwait(false);
        lock (_gate)
            return open is not null && _open.Remove(name) ? open : null;
    }
}

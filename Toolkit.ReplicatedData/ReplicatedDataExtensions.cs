using Core.Groups;

namespace Toolkit.ReplicatedData;

/// <summary>Opens replicated data by name: spaces, and single objects with a space of their own.</summary>
public static class ReplicatedDataExtensions
{
    /// <inheritdoc cref="ReplicatedSpace.OpenAsync"/>
    public static ValueTask<ReplicatedSpace> OpenSpaceAsync(this GroupNode node, string name, CancellationToken ct = default) =>
        ReplicatedSpace.OpenAsync(node, name, ct);

    /// <summary>Opens a variable by itself, and makes it if it is not there: <c>await node.ReplicatedAsync&lt;decimal&gt;("/prices/SUN")</c>.</summary>
    /// <param name="node">The node; it holds a copy until the variable is disposed of.</param>
    /// <param name="name">The variable's path.</param>
    /// <param name="options">Mode and serializer.</param>
    /// <param name="ct">Gives it up.</param>
    /// <exception cref="InvalidOperationException">It was made in another mode, or is open at this node with another type.</exception>
    public static ValueTask<ReplicatedVariable<T>> ReplicatedAsync<T>(this GroupNode node, string name, ReplicatedDataOptions? options = null, CancellationToken ct = default) =>
        OpenAsync(node, name, "#var", async space => new ReplicatedVariable<T>(space, (await space.OpenVariableAsync<T>("", options, ct).ConfigureAwait(false)).Mirror) { OwnsSpace = true }, ct);

    /// <summary>Opens a dictionary by itself.</summary>
    /// <inheritdoc cref="ReplicatedAsync{T}"/>
    public static ValueTask<ReplicatedDictionary<TKey, TValue>> ReplicatedDictionaryAsync<TKey, TValue>(this GroupNode node, string name, ReplicatedDataOptions? options = null, CancellationToken ct = default)
        where TKey : notnull =>
        OpenAsync(node, name, "#dict", async space => new ReplicatedDictionary<TKey, TValue>(space, (await space.OpenDictionaryAsync<TKey, TValue>("", options, ct).ConfigureAwait(false)).Mirror) { OwnsSpace = true }, ct);

    /// <summary>Opens a set by itself.</summary>
    /// <inheritdoc cref="ReplicatedAsync{T}"/>
    public static ValueTask<ReplicatedSet<T>> ReplicatedSetAsync<T>(this GroupNode node, string name, ReplicatedDataOptions? options = null, CancellationToken ct = default)
        where T : notnull =>
        OpenAsync(node, name, "#set", async space => new ReplicatedSet<T>(space, (await space.OpenSetAsync<T>("", options, ct).ConfigureAwait(false)).Mirror) { OwnsSpace = true }, ct);

    /// <summary>Opens a counter by itself.</summary>
    /// <inheritdoc cref="ReplicatedAsync{T}"/>
    public static ValueTask<ReplicatedCounter> ReplicatedCounterAsync(this GroupNode node, string name, ReplicatedDataOptions? options = null, CancellationToken ct = default) =>
        OpenAsync(node, name, "#counter", async space => new ReplicatedCounter(space, (await space.OpenCounterAsync("", options, ct).ConfigureAwait(false)).Mirror) { OwnsSpace = true }, ct);

    /// <summary>Opens a list by itself.</summary>
    /// <inheritdoc cref="ReplicatedAsync{T}"/>
    public static ValueTask<ReplicatedList<T>> ReplicatedListAsync<T>(this GroupNode node, string name, ReplicatedDataOptions? options = null, CancellationToken ct = default) =>
        OpenAsync(node, name, "#list", async space => new ReplicatedList<T>(space, (await space.OpenListAsync<T>("", options, ct).ConfigureAwait(false)).Mirror) { OwnsSpace = true }, ct);

    /// <summary>Opens a queue by itself.</summary>
    /// <inheritdoc cref="ReplicatedAsync{T}"/>
    public static ValueTask<ReplicatedQueue<T>> ReplicatedQueueAsync<T>(this GroupNode node, string name, ReplicatedDataOptions? options = null, CancellationToken ct = default) =>
        OpenAsync(node, name, "#queue", async space => new ReplicatedQueue<T>(space, (await space.OpenQueueAsync<T>("", options, ct).ConfigureAwait(false)).Mirror) { OwnsSpace = true }, ct);

    private static async ValueTask<TObject> OpenAsync<TObject>(GroupNode node, string name, string suffix, Func<ReplicatedSpace, ValueTask<TObject>> open, CancellationToken ct)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        ReplicatedSpace space = await ReplicatedSpace.OpenGroupAsync(node, name + suffix, ct).ConfigureAwait(false);
        try
        {
            return await open(space).ConfigureAwait(false);
        }
        catch
        {
            await space.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }
}

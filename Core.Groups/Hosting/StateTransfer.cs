// How a joiner gets a group's state: the Isis state transfer tool (RFC 992; protocol, section 7).
using System.Buffers;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Core.Groups.Hosting;

namespace Core.Groups;

/// <summary>A group's state as a donor gives it, piece by piece.</summary>
/// <param name="pieces">
/// The state as it is now: what the group's handlers do while it is read must not change it. Read once, at the speed of the joiners;
/// disposed when it is read, or when nobody wants it any more. A piece must not change before the next one is asked for.
/// </param>
/// <param name="length">The size in bytes, for those who watch the progress; null: not known.</param>
public sealed class StateSnapshot(IAsyncEnumerable<ReadOnlyMemory<byte>> pieces, long? length = null)
{
    /// <summary>The pieces, of any size.</summary>
    public IAsyncEnumerable<ReadOnlyMemory<byte>> Pieces { get; } = pieces ?? throw new ArgumentNullException(nameof(pieces));

    /// <summary>The size in bytes; null: not known.</summary>
    public long? Length { get; } = length;
}

/// <summary>How far a transfer of a group's state has come.</summary>
/// <param name="Group">The group's name.</param>
/// <param name="IsDonor">Whether this node gives the state; else it joins.</param>
/// <param name="Bytes">What was given to the network, or taken by the application. Begins at 0 again with another donor.</param>
/// <param name="Length">The size that the donor expects, in bytes; null: it does not know.</param>
/// <param name="IsComplete">Whether that was all.</param>
public readonly record struct StateProgress(string Group, bool IsDonor, long Bytes, long? Length, bool IsComplete);

/// <summary>
/// Saves a group's state at a member and loads it at a joiner. The callbacks run in the group's delivery order, one at a
/// time with its handlers: a saved state holds exactly the messages handled before.
/// </summary>
public sealed class StateTransfer
{
    /// <summary>Saves the state. The memory must not change afterwards. If it throws, the join fails at the joiner.</summary>
    public required Func<ValueTask<ReadOnlyMemory<byte>>> Save { get; init; }

    /// <summary>Loads the state in place of whatever there was before. If it throws, the join fails.</summary>
    public required Func<ReadOnlyMemory<byte>, ValueTask> Load { get; init; }

    /// <summary>Called instead of <see cref="Load"/> at the group's first member; null: nothing to do.</summary>
    public Func<ValueTask>? Initialize { get; init; }

    /// <summary>
    /// Told how far a state that is a stream has come, at both ends; from any thread, one call at a time for each transfer. What it
    /// throws is logged.
    /// </summary>
    public Action<StateProgress>? OnProgress { get; init; }

    /// <summary>Gives the state as a stream; null: it is one object.</summary>
    internal Func<ValueTask<StateSnapshot>>? SaveStream { get; private init; }

    /// <summary>Loads it.</summary>
    internal Func<StateReader, ValueTask>? LoadStream { get; private init; }

    /// <summary>
    /// State that is too large for one object: given and loaded piece by piece, with about a megabyte of it under way, however large it is.
    /// The group goes on meanwhile, the donor too; the joiner handles what was sent since when it has the state (up to 64 MiB a group are
    /// held for it, then the senders wait). The same at all members. In extended mode it is handed over as a whole, for a merge needs all sides.
    /// </summary>
    /// <param name="save">Takes a snapshot, at its place in the delivery order: quickly, for the donor's handlers wait. If it or the reading throws, the join fails at the joiner.</param>
    /// <param name="load">
    /// Loads the state in place of whatever there was before, at its place in the delivery order. When the donor fails the reading ends with
    /// <see cref="OperationCanceledException"/>, and this is called again with the state of a new donor.
    /// </param>
    /// <param name="initialize">Called in place of <paramref name="load"/> at the group's first member.</param>
    /// <param name="onProgress">See <see cref="OnProgress"/>.</param>
    public static StateTransfer Stream(
        Func<ValueTask<StateSnapshot>> save, Func<StateReader, ValueTask> load, Func<ValueTask>? initialize = null, Action<StateProgress>? onProgress = null)
    {
        ArgumentNullException.ThrowIfNull(save);
        ArgumentNullException.ThrowIfNull(load);
        return new StateTransfer
        {
            SaveStream = save, LoadStream = load, Initialize = initialize, OnProgress = onProgress,
            Save = async () => await JoinAsync((await save().ConfigureAwait(false)).Pieces).ConfigureAwait(false),
            Load = state => load(new StateReader(new[] { state }.ToAsyncEnumerable(), state.Length)),
        };
    }

    internal bool IsStream => SaveStream is not null;

    /// <summary>The state as it is now, whichever way it is saved.</summary>
    internal async ValueTask<StateSnapshot> OpenAsync()
    {
        if (SaveStream is { } open)
        {
            return await open().ConfigureAwait(false);
        }

        ReadOnlyMemory<byte> whole = await Save().ConfigureAwait(false);
        return new StateSnapshot(new[] { whole }.ToAsyncEnumerable(), whole.Length);
    }

    /// <summary>Loads a state that comes in pieces, whichever way it is loaded.</summary>
    internal async ValueTask TakeAsync(StateReader pieces)
    {
        if (LoadStream is { } load)
        {
            await load(pieces).ConfigureAwait(false);
            return;
        }

        await Load(await JoinAsync(pieces).ConfigureAwait(false)).ConfigureAwait(false);
    }

    private static async ValueTask<ReadOnlyMemory<byte>> JoinAsync(IAsyncEnumerable<ReadOnlyMemory<byte>> pieces)
    {
        var whole = new ArrayBufferWriter<byte>();
        await foreach (ReadOnlyMemory<byte> piece in pieces.ConfigureAwait(false))
        {
            whole.Write(piece.Span);
        }

        return whole.WrittenMemory;
    }

    internal void Report(NodeHost host, in StateProgress progress)
    {
        try
        {
            OnProgress?.Invoke(progress);
        }
        catch (Exception e)
        {
            HostLog.CallbackFailed(host.Logger, e, nameof(OnProgress), progress.Group);
        }
    }

    /// <summary>State as bytes.</summary>
    public static StateTransfer Bytes(Func<ReadOnlyMemory<byte>> save, Action<ReadOnlyMemory<byte>> load)
    {
        ArgumentNullException.ThrowIfNull(save);
        ArgumentNullException.ThrowIfNull(load);
        return new StateTransfer
        {
            Save = () => ValueTask.FromResult(save()),
            Load = state =>
            {
                load(state);
                return ValueTask.CompletedTask;
            },
        };
    }

    /// <summary>State as an object that is written as JSON: with generated code where there is any, as by <see cref="JsonPayloadSerializer"/>.</summary>
    /// <param name="save">The state as it is now.</param>
    /// <param name="load">Takes the state of a member.</param>
    /// <param name="options">Null: the serializer's defaults. The same at all members.</param>
    /// <exception cref="NotSupportedException">There is no code for the type, and no reflection; the message says what to write.</exception>
    public static StateTransfer Json<T>(Func<T> save, Action<T> load, JsonSerializerOptions? options = null) =>
        Json(save, load, (options is null ? JsonPayloadSerializer.Default : new JsonPayloadSerializer(options)).TypeOf<T>());

    /// <summary>State as an object that is written as JSON by code that was generated for its type.</summary>
    /// <param name="save">The state as it is now.</param>
    /// <param name="load">Takes the state of a member.</param>
    /// <param name="type">The type as a context has it: <c>MyJson.Default.Ledger</c>. The same at all members.</param>
    public static StateTransfer Json<T>(Func<T> save, Action<T> load, JsonTypeInfo<T> type)
    {
        ArgumentNullException.ThrowIfNull(save);
        ArgumentNullException.ThrowIfNull(load);
        ArgumentNullException.ThrowIfNull(type);
        return Bytes(
            () => JsonSerializer.SerializeToUtf8Bytes(save(), type),
            state => load(JsonSerializer.Deserialize(state.Span, type)!));
    }
}

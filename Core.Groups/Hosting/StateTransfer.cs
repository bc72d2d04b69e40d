// How a joiner gets a group's state: the Isis state transfer tool (RFC 992; protocol, section 7).
using System.Text.Json;

namespace Core.Groups;

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

    /// <summary>State as an object that is written as JSON.</summary>
    public static StateTransfer Json<T>(Func<T> save, Action<T> load, JsonSerializerOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(save);
        ArgumentNullException.ThrowIfNull(load);
        return Bytes(
            () => JsonSerializer.SerializeToUtf8Bytes(save(), options),
            state => load(JsonSerializer.Deserialize<T>(state.Span, options)!));
    }
}

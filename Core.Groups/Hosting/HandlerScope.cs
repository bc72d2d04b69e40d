// Knows whether code runs inside a handler of a group. Such code must not wait for what its own end must precede.
namespace Core.Groups.Hosting;

/// <summary>Set once per batch of deliveries; flows with the handlers' asynchronous calls.</summary>
internal sealed class HandlerScope : IDisposable
{
    private static readonly AsyncLocal<HandlerScope?> Current = new();

    private ProcessGroup? _group;

    private HandlerScope(ProcessGroup? group) => _group = group;

    /// <summary>The group whose handler this code runs in; null outside, and in work that has outlived the batch.</summary>
    public static ProcessGroup? Group => Current.Value?._group;

    public static HandlerScope Enter(ProcessGroup? group)
    {
        var scope = new HandlerScope(group);
        Current.Value = scope;
        return scope;
    }

    // Work that a handler started and left behind is no longer inside it.
    public void Dispose() => _group = null;
}

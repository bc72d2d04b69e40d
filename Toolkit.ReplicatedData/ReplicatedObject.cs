namespace Toolkit.ReplicatedData;

/// <summary>What all replicated objects have in common.</summary>
public abstract class ReplicatedObject : IAsyncDisposable
{
    private readonly string _name;

    private protected ReplicatedObject(ReplicatedSpace space, string name)
    {
        Space = space;
        _name = name;
    }

    /// <summary>The space that the object is in; of an object that was opened by itself, a space of its own.</summary>
    public ReplicatedSpace Space { get; }

    /// <summary>The name in the space; of an object that was opened by itself, the name of its group.</summary>
    public string Name => OwnsSpace ? Space.View.GroupName : _name;

    internal bool OwnsSpace { get; init; }

    /// <summary>Gives the object up if it was opened by itself; objects of a space are given up with it.</summary>
    public ValueTask DisposeAsync() => OwnsSpace ? Space.DisposeAsync() : default;
}

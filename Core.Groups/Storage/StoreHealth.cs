// Whether a store may still be used: the first failure of its disk is the last.
// Keeps: after a failed write or fsync nothing more is written, since nobody knows what of it is there (fsync may say
// "well" the second time without having written anything).
namespace Core.Groups.Storage;

/// <summary>The state that a store and its logs share. Safe for any thread.</summary>
internal sealed class StoreHealth(string path)
{
    private volatile StableStoreException? _failure;

    /// <exception cref="StableStoreException">The store has failed.</exception>
    public T Run<T>(Func<T> act)
    {
        Check();
        try
        {
            return act();
        }
        catch (Exception e) when (e is not StableStoreException)
        {
            // Whatever it is: a part may have been written. (A file that may grow no more is an ArgumentOutOfRangeException in .NET.)
            throw Fail(e);
        }
    }

    /// <exception cref="StableStoreException">The store has failed or is closed.</exception>
    public void Check()
    {
        if (_failure is { } failure) throw new StableStoreException(failure.Message, failure);
    }

    /// <summary>The disk has failed.</summary>
    public StableStoreException Fail(Exception e) => _failure ??= new StableStoreException(
        $"The store {path} has failed and takes nothing more: {e.Message} What was written last may be lost. Stop this process, see to the disk (is it full?), and start again.", e);

    public StableStoreException Damaged(string what) => new(
        $"The store {path} is damaged: {what}. Nothing of it was used. Bring back a sound copy that is not older, or delete the directory: then this node has forgotten everything, as one that is new.");

    public void Close() => _failure ??= new StableStoreException($"The store {path} is closed.");
}

// The contract of every stable store, over a LiteDB file.
using Core.Groups.Tests.Storage;

namespace Toolkit.Recovery.LiteDb.Tests;

public sealed class LiteDbStableStoreTests : StableStoreContract, IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("litedb").FullName;

    protected override async ValueTask<IStableStore> OpenAsync() => await LiteDbStableStore.OpenAsync(Path.Combine(_directory, "store.db"));

    public void Dispose() => Directory.Delete(_directory, recursive: true);
}

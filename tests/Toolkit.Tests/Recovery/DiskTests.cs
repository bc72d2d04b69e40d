// A member whose disk fails or is full stops logging, says so, and leaves the group: the others go on, and nothing it had not written is acknowledged.
using Core.Groups;
using Core.Groups.Storage;
using Toolkit.Recovery;

namespace Toolkit.Tests.Recovery;

public sealed class DiskTests : IDisposable
{
    private static readonly TimeSpan Patience = RealNodes.Patience;

    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("disks");

    public void Dispose() => _directory.Delete(recursive: true);

    [Theory]
    [InlineData(true, false)]
    [InlineData(false, true)]
    public async Task AMemberThatCannotWriteLeavesAndSaysWhy(bool isFull, bool failsToSync)
    {
        await using var nodes = new LedgerNodes(3);
        var files = new FailingFiles(new DirectoryFiles(Path.Combine(_directory.FullName, "c")));
        await using var store = new FileStableStore(files);
        await Task.WhenAll(nodes.StartAsync(0), nodes.StartAsync(1), nodes.StartAsync(2, o => (o.StableStore, o.DataDirectory) = (store, null)));
        await Task.WhenAll(nodes.All.Select(n => n.JoinAsync())).WaitAsync(Patience);
        await nodes[0].Group.UpdateAsync("one").AsTask().WaitAsync(Patience);

        (files.IsFull, files.FailsToSync) = (isFull, failsToSync);
        await nodes[0].Group.UpdateAsync("two").AsTask().WaitAsync(Patience); // without c
        StableStoreException why = await Assert.ThrowsAsync<StableStoreException>(() => nodes[2].Group.Completion.WaitAsync(Patience));
        Assert.Contains(isFull ? "No space left" : "fsync", why.Message);
        Assert.DoesNotContain(nodes[0].Group.Group.View.Members, m => m.Name == "c");
        await Assert.ThrowsAnyAsync<GroupException>(() => nodes[2].Group.UpdateAsync("three").AsTask().WaitAsync(Patience));
        Assert.Equal(["one", "two"], nodes[1].Entries);
    }

    /// <summary>A disk that takes nothing more, or whose fsync fails.</summary>
    private sealed class FailingFiles(IStoreFiles files) : IStoreFiles
    {
        public bool IsFull { get; set; }

        public bool FailsToSync { get; set; }

        public string Path => files.Path;

        public bool Exists(string path) => files.Exists(path);

        public byte[] Read(string path) => files.Read(path);

        public string[] List(string folder) => files.List(folder);

        public void MakeFolder(string path) => files.MakeFolder(path);

        public IStoreFile Open(string path) => new File(this, files.Open(path));

        public void Delete(string path) => files.Delete(path);

        public void DeleteFolder(string path) => files.DeleteFolder(path);

        public void Replace(string from, string to) => files.Replace(from, to);

        public void SyncFolder(string path) => files.SyncFolder(path);

        public void Dispose() => files.Dispose();

        private sealed class File(FailingFiles disk, IStoreFile file) : IStoreFile
        {
            public long Length => file.Length;

            public void Write(ReadOnlySpan<byte> bytes, long at)
            {
                if (disk.IsFull) throw new IOException("No space left on device");
                file.Write(bytes, at);
            }

            public void SetLength(long length) => file.SetLength(length);

            public void Sync()
            {
                if (disk.FailsToSync) throw new IOException("fsync failed");
                file.Sync();
            }

            public void Dispose() => file.Dispose();
        }
    }
}

// Recovery in a .NET host.
using Core.Groups;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Toolkit.Recovery;

namespace Toolkit.Tests.Recovery;

public sealed class RecoveryServicesTests : IDisposable
{
    private static readonly TimeSpan Patience = RealNodes.Patience;

    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("recovery-host");

    public void Dispose() => _directory.Delete(recursive: true);

    [Fact]
    public async Task AGroupComesBackInAHostThatIsStartedAgain()
    {
        foreach (string[] before in (string[][])[[], ["one"]])
        {
            using IHost host = Build(recovery => recovery.Directory = _directory.FullName);
            await host.StartAsync().WaitAsync(Patience);
            var ledger = new LedgerNode(host.Services.GetRequiredService<GroupNode>());
            await ledger.JoinAsync().WaitAsync(Patience);
            Assert.Equal(before, ledger.Entries);
            await ledger.Group.UpdateAsync("one").AsTask().WaitAsync(Patience);
            await host.StopAsync().WaitAsync(Patience);
        }
    }

    [Fact]
    public async Task WithoutADirectoryTheHostDoesNotStart()
    {
        using IHost host = Build(_ => { });
        InvalidOperationException refused = await Assert.ThrowsAsync<InvalidOperationException>(() => host.StartAsync().WaitAsync(Patience));
        Assert.Contains(nameof(RecoveryOptions.Directory), refused.Message);
    }

    private static IHost Build(Action<RecoveryOptions> configure)
    {
        HostApplicationBuilder builder = Host.CreateApplicationBuilder();
        builder.Services.AddProcessGroups(o => (o.Name, o.Listen) = ("a", "127.0.0.1:0")).AddRecovery(configure);
        return builder.Build();
    }
}

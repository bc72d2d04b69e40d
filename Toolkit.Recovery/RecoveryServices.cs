// Recovery in a .NET host: the manager opens with the node, before the services that were added later.
using Core.Groups;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Toolkit.Recovery;

/// <summary>What <see cref="RecoveryServices.AddRecovery"/> sets.</summary>
public sealed class RecoveryOptions
{
    /// <summary>The directory of the node's stable store; null: that of <see cref="GroupNodeOptions.DataDirectory"/>, or <see cref="GroupNodeOptions.StableStore"/>.</summary>
    public string? Directory { get; set; }

    /// <summary>Which objects of toolkits are logged, by the names of their groups (<see cref="GroupNodeRecoveryExtensions.LogObjects"/>); null: none.</summary>
    public Func<string, bool>? Objects { get; set; }

    /// <summary>How their logs are kept.</summary>
    public LoggedGroupOptions ObjectLogs { get; set; } = new();
}

/// <summary>Adds recovery to an application.</summary>
public static class RecoveryServices
{
    /// <summary>
    /// The application's node takes part in recovery as soon as it is in a primary configuration: its logs and its knowledge count for others even
    /// if it joins no logged group. Join them with <see cref="GroupNodeRecoveryExtensions.JoinLoggedAsync"/> in services that are added after this.
    /// </summary>
    /// <param name="builder">From <see cref="ProcessGroupsServices.AddProcessGroups"/>.</param>
    /// <param name="configure">Sets the options.</param>
    /// <remarks>Without a stable store the application does not start: an <see cref="InvalidOperationException"/> says so. A damaged log stops the application.</remarks>
    public static ProcessGroupsBuilder AddRecovery(this ProcessGroupsBuilder builder, Action<RecoveryOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        OptionsBuilder<RecoveryOptions> options = builder.Services.AddOptions<RecoveryOptions>();
        if (configure is not null) options.Configure(configure);
        builder.Services.AddOptions<GroupNodeOptions>().Configure<IOptions<RecoveryOptions>>((node, recovery) => node.DataDirectory = recovery.Value.Directory ?? node.DataDirectory);
        builder.Services.AddHostedService<RecoveryService>();
        return builder;
    }

    private sealed class RecoveryService(GroupNode node, IOptions<RecoveryOptions> options, IHostApplicationLifetime lifetime, ILogger<RecoveryManager> logger) : IHostedService
    {
        public Task StartAsync(CancellationToken cancellationToken)
        {
            if (node.StableStore is null) throw new InvalidOperationException("AddRecovery needs a stable store: set RecoveryOptions.Directory or GroupNodeOptions.DataDirectory.");
            if (options.Value.Objects is { } which) node.LogObjects(which, options.Value.ObjectLogs);
            _ = OpenAsync(); // the others may not be there yet
            return Task.CompletedTask;
        }

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        private async Task OpenAsync()
        {
            try
            {
                await RecoveryManager.OpenAsync(node).ConfigureAwait(false);
            }
            catch (StableStoreException e)
            {
                RecoveryLog.CannotOpen(logger, e);
                lifetime.StopApplication();
            }
            catch (NodeStoppedException)
            {
                // It was stopped before the others were there.
            }
        }
    }
}

// A node in a .NET host: created with the container, started and stopped with the application.
// Keeps: wrong options stop the application before anything listens; services that use the node stop before it does.
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Core.Groups;

/// <summary>What <see cref="ProcessGroupsServices.AddProcessGroups"/> gives: toolkits add themselves here.</summary>
public sealed class ProcessGroupsBuilder
{
    internal ProcessGroupsBuilder(IServiceCollection services) => Services = services;

    /// <summary>The application's services; <see cref="GroupNode"/> is one of them.</summary>
    public IServiceCollection Services { get; }
}

/// <summary>Adds a node of process groups to the services of an application.</summary>
public static class ProcessGroupsServices
{
    /// <summary>
    /// Adds the application's <see cref="GroupNode"/>, a singleton that starts and stops with the host. It can be injected
    /// anywhere: what is asked of it before the host has started waits for the start. Services that were added after it stop
    /// before it. When the node ends by itself (its name is taken), the application stops.
    /// </summary>
    /// <param name="services">The application's services.</param>
    /// <param name="configure">
    /// Sets the options; they may also come from configuration (<c>services.Configure&lt;GroupNodeOptions&gt;(section)</c>). Checked
    /// when the host starts: an <see cref="OptionsValidationException"/> names the option. Without a logger factory of its own
    /// the node logs where the application does.
    /// </param>
    /// <exception cref="InvalidOperationException">The application has a node already; an application is one node.</exception>
    public static ProcessGroupsBuilder AddProcessGroups(this IServiceCollection services, Action<GroupNodeOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        if (services.Any(s => s.ServiceType == typeof(GroupNode)))
        {
            throw new InvalidOperationException("AddProcessGroups was called before. An application is one node: use that one, and join more groups.");
        }

        OptionsBuilder<GroupNodeOptions> options = services.AddOptions<GroupNodeOptions>();
        if (configure is not null)
        {
            options.Configure(configure);
        }

        options.PostConfigure<IServiceProvider>((o, provider) => o.LoggerFactory ??= provider.GetService<ILoggerFactory>()).ValidateOnStart();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<GroupNodeOptions>, OptionsValidator>());
        services.AddSingleton(provider => GroupNode.Create(provider.GetRequiredService<IOptions<GroupNodeOptions>>().Value));
        services.AddHostedService<NodeService>();
        return new ProcessGroupsBuilder(services);
    }

    private sealed class OptionsValidator : IValidateOptions<GroupNodeOptions>
    {
        public ValidateOptionsResult Validate(string? name, GroupNodeOptions options)
        {
            try
            {
                options.Validate();
                return ValidateOptionsResult.Success;
            }
            catch (ArgumentException e)
            {
                return ValidateOptionsResult.Fail(e.Message);
            }
        }
    }

    private sealed class NodeService(GroupNode node, IHostApplicationLifetime lifetime) : IHostedService
    {
        public async Task StartAsync(CancellationToken cancellationToken)
        {
            await node.StartAsync(cancellationToken).ConfigureAwait(false);
            _ = StopApplicationAsync();
        }

        public Task StopAsync(CancellationToken cancellationToken) => node.StopAsync(cancellationToken).AsTask();

        // The node says in its own log why it ended.
        private async Task StopApplicationAsync()
        {
            await node.Completion.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            lifetime.StopApplication();
        }
    }
}

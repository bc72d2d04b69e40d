using Core.Groups;
using Microsoft.Extensions.Caching.Distributed;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace Toolkit.ReplicatedData.Caching;

/// <summary>Adds the replicated cache to the services of an application.</summary>
public static class ReplicatedCacheServices
{
    /// <summary>
    /// Adds a <see cref="ReplicatedCache"/> as the application's <see cref="IDistributedCache"/> (also <see cref="IBufferDistributedCache"/>):
    /// sessions, output caching, HybridCache and data protection use it from then on. It takes part from the start of the host, and does
    /// not hold it up.
    /// </summary>
    /// <param name="services">The services; call <see cref="ProcessGroupsServices.AddProcessGroups"/> on them too, before.</param>
    /// <param name="configure">Sets the options. Checked when the host starts: an <see cref="OptionsValidationException"/> names what is wrong.</param>
    /// <returns>The services.</returns>
    public static IServiceCollection AddReplicatedCache(this IServiceCollection services, Action<ReplicatedCacheOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        OptionsBuilder<ReplicatedCacheOptions> options = services.AddOptions<ReplicatedCacheOptions>().ValidateOnStart();
        if (configure is not null) options.Configure(configure);
        services.AddSingleton<IValidateOptions<ReplicatedCacheOptions>, OptionsValidator>();
        services.AddSingleton(provider => new ReplicatedCache(provider.GetRequiredService<GroupNode>(), provider.GetRequiredService<IOptions<ReplicatedCacheOptions>>().Value));
        services.AddSingleton<IDistributedCache>(provider => provider.GetRequiredService<ReplicatedCache>());
        services.AddHostedService<CacheService>();
        return services;
    }

    private sealed class OptionsValidator : IValidateOptions<ReplicatedCacheOptions>
    {
        public ValidateOptionsResult Validate(string? name, ReplicatedCacheOptions options)
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

    // Makes the cache when the host starts, so that its copy comes before the first request needs it. The node's stop leaves the group.
    private sealed class CacheService(IServiceProvider services) : IHostedService
    {
        public Task StartAsync(CancellationToken cancellationToken)
        {
            services.GetRequiredService<ReplicatedCache>();
            return Task.CompletedTask;
        }

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}

using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using Polly;

namespace Core.Groups.Tests.Hosting;

public sealed class ProcessGroupsServicesTests
{
    private const int Limit = 60_000; // milliseconds

    [Fact(Timeout = Limit)]
    public async Task A_service_uses_the_node_from_its_constructor_on_and_stops_before_it()
    {
        IHost host = Build(o => o.Name = "a", s => s.AddHostedService<Worker>().AddHealthChecks().AddCheck<GroupNodeHealthCheck>("process-groups"));
        var node = host.Services.GetRequiredService<GroupNode>();
        var worker = (Worker)host.Services.GetServices<IHostedService>().Single(s => s is Worker);
        Assert.Empty(node.Reachable);
        await host.StartAsync();
        ProcessGroup group = await worker.Joined.Task.WaitAsync(RealCluster.Patience);
        Assert.Equal(["a"], group.View.Members.Select(m => m.Name));
        var health = host.Services.GetRequiredService<HealthCheckService>();
        Assert.Equal(HealthStatus.Healthy, (await health.CheckHealthAsync()).Status);

        await host.StopAsync();
        Assert.True(worker.StoppedInTime);
        Assert.True(node.Completion.IsCompletedSuccessfully);
        Assert.Equal(HealthStatus.Unhealthy, (await health.CheckHealthAsync()).Status);
        host.Dispose();
    }

    [Fact(Timeout = Limit)]
    public async Task A_blocked_node_is_unhealthy()
    {
        using IHost host = Build(o => (o.Name, o.Listen, o.Seeds) = ("a", "127.0.0.1:0", ["127.0.0.1:1", "127.0.0.1:2"]));
        await host.StartAsync();
        var check = new GroupNodeHealthCheck(host.Services.GetRequiredService<GroupNode>());
        HealthCheckResult result = await check.CheckHealthAsync(new HealthCheckContext
        {
            Registration = new HealthCheckRegistration("process-groups", check, HealthStatus.Degraded, null),
        });
        Assert.Equal(HealthStatus.Degraded, result.Status);
        Assert.Contains("it reaches a", result.Description);
        await host.StopAsync();
    }

    [Fact(Timeout = Limit)]
    public async Task Wrong_options_stop_the_host_before_it_starts()
    {
        using IHost host = Build(o => o.Name = "");
        var error = await Assert.ThrowsAsync<OptionsValidationException>(() => host.StartAsync());
        Assert.Contains("GroupNodeOptions.Name must", error.Message);
    }

    [Fact(Timeout = Limit)]
    public async Task A_node_that_ends_by_itself_stops_the_application()
    {
        using IHost host = Build(o => o.Name = "a");
        await host.StartAsync();
        host.Services.GetRequiredService<GroupNode>().Crash();
        await host.WaitForShutdownAsync().WaitAsync(RealCluster.Patience);
    }

    [Fact]
    public void An_application_is_one_node() =>
        Assert.Throws<InvalidOperationException>(() => Build(o => o.Name = "a", s => s.AddProcessGroups()));

    [Theory]
    [InlineData(false, 1)]
    [InlineData(true, 3)]
    public async Task A_call_whose_outcome_is_unknown_is_made_again_only_if_that_does_no_harm(bool isIdempotent, int calls)
    {
        int made = 0;
        ResiliencePipeline pipeline = new ResiliencePipelineBuilder().AddGroupRetry(isIdempotent).Build();
        ValueTask Call(CancellationToken ct) => ++made < 3 ? throw new ExcludedException("test", outcomeUnknown: true) : default;
        await Record.ExceptionAsync(() => pipeline.ExecuteAsync(Call).AsTask());
        Assert.Equal(calls, made);
    }

    public static TheoryData<Exception, bool, bool> Errors => new()
    {
        { new ExcludedException("test", outcomeUnknown: false), false, true },
        { new ExcludedException("test", outcomeUnknown: true), false, false },
        { new GroupNotFoundException("/g"), false, true },
        { new TimeoutException(), false, false },
        { new TimeoutException(), true, true },
        { new NodeStoppedException(outcomeUnknown: false), true, false },
        { new MessageTooLargeException(2, 1), true, false },
    };

    [Theory]
    [MemberData(nameof(Errors))]
    public void What_will_not_pass_is_not_tried_again(Exception error, bool isIdempotent, bool expected) =>
        Assert.Equal(expected, GroupResilience.MayRetry(error, isIdempotent));

    private static IHost Build(Action<GroupNodeOptions> configure, Action<IServiceCollection>? more = null)
    {
        HostApplicationBuilder builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddProcessGroups(configure);
        more?.Invoke(builder.Services);
        return builder.Build();
    }

    private sealed class Worker(GroupNode node) : IHostedService
    {
        private readonly Task<ProcessGroup> _joining = node.JoinAsync("/worker").AsTask();

        public TaskCompletionSource<ProcessGroup> Joined { get; } = new();

        public bool StoppedInTime { get; private set; }

        public async Task StartAsync(CancellationToken cancellationToken) => Joined.SetResult(await _joining);

        public Task StopAsync(CancellationToken cancellationToken)
        {
            StoppedInTime = !node.Completion.IsCompleted;
            return Task.CompletedTask;
        }
    }
}

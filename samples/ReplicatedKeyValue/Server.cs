// One server: a node of process groups in an ASP.NET Core application, and the store's HTTP face.
// Keeps: every request ends within its time; what is answered 200 can no longer be lost.
using Core.Groups;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Diagnostics.HealthChecks;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Toolkit.ReplicatedData;

namespace ReplicatedKeyValue;

/// <summary>What a key holds.</summary>
/// <param name="Value">The value; null: nothing.</param>
/// <param name="Version">Grows with every write; 0: nothing is there.</param>
internal sealed record Entry(string? Value, long Version);

/// <summary>A running server.</summary>
internal sealed class Server : IAsyncDisposable
{
    private const int LongestValue = 64 << 10;
    private static readonly TimeSpan RequestPatience = TimeSpan.FromSeconds(5);

    private readonly WebApplication _application;
    private readonly Store _store;

    private Server(WebApplication application)
    {
        _application = application;
        _store = application.Services.GetRequiredService<Store>();
    }

    /// <summary>Where it answers.</summary>
    public string Url => _application.Urls.First();

    /// <summary>Ends when the node has ended.</summary>
    public Task Completion => _application.Services.GetRequiredService<GroupNode>().Completion;

    /// <summary>Starts it. It answers from then on, with "not ready" until it has the store's copy.</summary>
    public static async Task<Server> StartAsync(Action<GroupNodeOptions> configure, string url, CancellationToken ct)
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls(url);
        builder.WebHost.ConfigureKestrel(o => o.Limits.MaxRequestBodySize = LongestValue);
        builder.Services.ConfigureHttpJsonOptions(o => o.SerializerOptions.TypeInfoResolverChain.Insert(0, StoreJson.Default));
        builder.Services.AddProcessGroups(configure);
        builder.Services.AddHealthChecks().AddCheck<GroupNodeHealthCheck>("process-groups");
        builder.Services.AddSingleton<Store>();
        builder.Services.AddHostedService(services => services.GetRequiredService<Store>());
        WebApplication application = builder.Build();
        Map(application);
        await application.StartAsync(ct);
        return new Server(application);
    }

    /// <summary>Completes when this server has its copy.</summary>
    public Task WhenReadyAsync(CancellationToken ct) => _store.OpenedAsync(ct);

    /// <summary>Stops in order: requests end, then the node leaves.</summary>
    public async ValueTask DisposeAsync()
    {
        await _application.StopAsync();
        await _application.DisposeAsync();
    }

    private static void Map(WebApplication application)
    {
        application.Use(WithinItsTimeAsync);
        application.MapHealthChecks("/health");
        application.MapGet("/", () => TypedResults.Stream(typeof(Server).Assembly.GetManifestResourceStream("Page.html")!, "text/html; charset=utf-8"));
        application.MapGet("/events", (Store store, HttpContext context) => TypedResults.ServerSentEvents(store.WatchAsync(context.RequestAborted)));
        RouteGroupBuilder values = application.MapGroup("/values");
        values.MapGet("/", async (Store store, HttpContext context) => (await store.OpenedAsync(context.RequestAborted)).Snapshot());
        values.MapGet("/{key}", GetAsync);
        values.MapPut("/{key}", PutAsync);
        values.MapDelete("/{key}", async (string key, Store store, HttpContext context) =>
            TypedResults.Ok(await (await store.OpenedAsync(context.RequestAborted)).RemoveAsync(key, ct: context.RequestAborted)));
    }

    // ?latest=true: sees all that was answered anywhere before; else the copy here, at once.
    private static async Task<Results<Ok<Entry>, NotFound<Entry>>> GetAsync(string key, Store store, HttpContext context, bool latest = false)
    {
        ReplicatedDictionary<string, string> entries = await store.OpenedAsync(context.RequestAborted);
        Versioned<string> found = latest ? await entries.ReadAsync(key, context.RequestAborted) : entries.Get(key);
        var entry = new Entry(found.Value, found.Version);
        return found.Exists ? TypedResults.Ok(entry) : TypedResults.NotFound(entry);
    }

    // If-Match: a version: written only if the key has it; 0: only if nothing is there. So a caller may ask again without harm.
    private static async Task<IResult> PutAsync(string key, Store store, HttpContext context)
    {
        ReplicatedDictionary<string, string> entries = await store.OpenedAsync(context.RequestAborted);
        using var reader = new StreamReader(context.Request.Body);
        string value = await reader.ReadToEndAsync(context.RequestAborted);
        string? condition = context.Request.Headers.IfMatch;
        if (condition is null)
            return TypedResults.Ok(new Entry(value, await entries.SetAsync(key, value, ct: context.RequestAborted)));
        if (!long.TryParse(condition, out long expected) || expected < 0)
            return TypedResults.BadRequest("If-Match is a version: a number from 0 on.");
        UpdateOutcome outcome = await entries.CompareAndSetAsync(key, expected, value, ct: context.RequestAborted);
        if (outcome.Applied)
            return TypedResults.Ok(new Entry(value, outcome.Version));
        Versioned<string> there = entries.Get(key);
        return TypedResults.Json(new Entry(there.Value, there.Version), statusCode: StatusCodes.Status412PreconditionFailed);
    }

    // A server that is cut off from the others says so in time, and the caller asks another one.
    private static async Task WithinItsTimeAsync(HttpContext context, RequestDelegate next)
    {
        if (context.Request.Path == "/events")
        {
            await next(context);
            return;
        }

        CancellationToken aborted = context.RequestAborted;
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(aborted);
        limit.CancelAfter(RequestPatience);
        context.RequestAborted = limit.Token;
        try
        {
            await next(context);
        }
        catch (Exception e) when (!aborted.IsCancellationRequested && !context.Response.HasStarted && e is OperationCanceledException or GroupException)
        {
            context.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
            context.Response.Headers.RetryAfter = "1";
            string reason = e is GroupException ? e.Message : "this server is cut off from the others";
            await context.Response.WriteAsync($"{reason}. The write may have happened; ask another server, with the version in If-Match.", aborted);
        }
    }
}

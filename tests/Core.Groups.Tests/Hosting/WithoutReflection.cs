// Messages and states in a process in which System.Text.Json has no reflection, as after trimming. The switch counts for a whole process
// and is read once, so this assembly is also a program: its entry point is below, and the test runs it.
using System.Diagnostics;

namespace Core.Groups.Tests.Hosting;

public sealed class WithoutReflectionTests
{
    [Fact]
    public async Task Common_types_and_those_of_a_context_go_and_of_others_the_error_says_what_to_write()
    {
        using Process process = Process.Start(new ProcessStartInfo("dotnet", [typeof(WithoutReflection).Assembly.Location, WithoutReflection.Argument])
        {
            RedirectStandardOutput = true, RedirectStandardError = true,
        })!;
        try
        {
            Task<string> errors = process.StandardError.ReadToEndAsync();
            string[] said = (await process.StandardOutput.ReadToEndAsync().WaitAsync(RealCluster.Patience)).Split('\n', StringSplitOptions.RemoveEmptyEntries);
            Assert.True(said.Length == 5, string.Join('\n', [.. said, await errors]));
            Assert.Equal(["state: first", "told: text", "told: Trade { Symbol = AAPL, Value = 26.6 }", "answer: 42"], said[..4]);
            Assert.Contains("[JsonSerializable(typeof(Unforeseen))]", said[4]);
        }
        finally
        {
            process.Kill();
        }
    }
}

/// <summary>What runs in the process.</summary>
internal static class WithoutReflection
{
    public const string Argument = "--json-without-reflection";

    private sealed record Unforeseen(string Text);

    public static async Task<int> Main(string[] arguments)
    {
        if (arguments is not [Argument])
            return 2; // tests are run by a runner
        AppContext.SetSwitch("System.Text.Json.JsonSerializer.IsReflectionEnabledByDefault", false);
        await using RealCluster cluster = await RealCluster.StartAsync(2, options => options.Serializer = new JsonPayloadSerializer(GeneratedJson.Default));
        List<string> given = ["first"], taken = [];
        ProcessGroup first = await cluster.Nodes[0].JoinAsync("/g", new GroupOptions { State = StateTransfer.Json(() => given, _ => { }), Configure = Register });
        await using ProcessGroup second = await cluster.Nodes[1].JoinAsync("/g", new GroupOptions { State = StateTransfer.Json(() => taken, state => taken = state), Configure = Register });
        Console.WriteLine($"state: {string.Join(", ", taken)}");
        await second.TotalAsync("text");
        await second.TotalAsync(new Trade("AAPL", 26.6m));
        await second.FlushAsync();
        GroupReplies<long> replies = await second.RequestAsync<int, long>(6, Replies.All);
        Console.WriteLine($"answer: {replies.Answers.Single(a => a.From == cluster.Nodes[0].Id).Value}");
        try
        {
            await first.TotalAsync(new Unforeseen("x"));
        }
        catch (NotSupportedException e)
        {
            Console.WriteLine(e.Message);
        }

        return 0;

        void Register(ProcessGroup group)
        {
            bool tells = group.Node == cluster.Nodes[0];
            group.On<string>((text, _) => Tell(text));
            group.On<Trade>((trade, _) => Tell(trade.ToString()));
            group.OnRequest<int, long>((number, _) => ValueTask.FromResult(number * 7L));

            ValueTask Tell(string what)
            {
                if (tells)
                    Console.WriteLine($"told: {what}");
                return default;
            }
        }
    }
}

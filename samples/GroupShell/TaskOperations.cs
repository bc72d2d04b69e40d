// The operations of the coordinator-cohort tool: task.serve, task.run, task.status.
using Core.Groups;
using Toolkit.CoordinatorCohort;

namespace GroupShell;

/// <summary>Carries out requests that put texts in upper case, in as much time as the caller wants them to take.</summary>
internal sealed class TaskOperations(GroupNode node)
{
    private static readonly string[] Parts = ["coordinator", "redundant", "subdivided"];

    private static readonly CohortOptions<string> Options = new() { Serializer = new JsonPayloadSerializer(ShellJson.Default) };

    private readonly Once<Cohort<Work, string>> _cohorts = new();

    /// <param name="Text">What to work on.</param>
    /// <param name="Milliseconds">How long it takes.</param>
    internal sealed record Work(string Text, double Milliseconds);

    public void AddTo(Dictionary<string, Operation> operations)
    {
        operations["task.serve"] = ServeAsync;
        operations["task.run"] = RunAsync;
        operations["task.status"] = StatusAsync;
    }

    private async Task<AnswerFields?> ServeAsync(CommandFields command, CancellationToken ct)
    {
        string name = command.Name("name");
        await _cohorts.OpenAsync(name, () => node.ServeCohortAsync<Work, string>(name, WorkAsync, Options), ct).ConfigureAwait(false);
        return null;
    }

    private async Task<AnswerFields?> RunAsync(CommandFields command, CancellationToken ct)
    {
        (string name, string text) = (command.Name("name"), command.Text("text"));
        string execution = command.Has("execution") ? command.Text("execution") : Parts[0];
        if (!Parts.Contains(execution))
            throw ShellException.BadField("execution", $"must be one of {string.Join(", ", Parts)}");
        var options = new RunOptions { Execution = (Execution)Array.IndexOf(Parts, execution) };
        var work = new Work(text, command.Has("work") ? command.Duration("work").TotalMilliseconds : 0);
        ICohort<Work, string> cohort = await _cohorts.FindAsync(name, ct).ConfigureAwait(false) ?? (ICohort<Work, string>)node.CallCohort<Work, string>(name, Options.Serializer);
        IReadOnlyList<CohortAnswer<string>> answers = await cohort.CollectAsync(work, options, ct).ConfigureAwait(false);
        if (answers.FirstOrDefault(a => a.Error is not null) is { Error: { } error, By: var by })
            throw new ExecutionFailedException(by, error);
        return json =>
        {
            // Of several parts each member has done its own; put together they are the whole.
            json.WriteString("result", options.Execution == Execution.Subdivided ? string.Concat(answers.Select(a => a.Value)) : answers[0].Value);
            json.WriteString("by", answers[0].By.Name);
            json.WriteNumber("attempt", answers.Max(a => a.Attempt));
            json.WriteStrings("parts", answers.Select(a => a.By.Name));
        };
    }

    private async Task<AnswerFields?> StatusAsync(CommandFields command, CancellationToken ct)
    {
        string name = command.Name("name");
        Cohort<Work, string> cohort = await _cohorts.FindAsync(name, ct).ConfigureAwait(false) ?? throw new NotMemberException(name);
        CohortStatus status = cohort.GetStatus();
        return json =>
        {
            json.WriteNumber("executed", status.Executed);
            json.WriteNumber("results", status.Results);
            json.WriteString("digest", status.Digest);
        };
    }

    private static async ValueTask<string> WorkAsync(Work work, CohortExecution execution, CancellationToken ct)
    {
        if (work.Milliseconds > 0)
            await Task.Delay(TimeSpan.FromMilliseconds(work.Milliseconds), ct).ConfigureAwait(false);
        int begin = work.Text.Length * execution.Part / execution.Parts, end = work.Text.Length * (execution.Part + 1) / execution.Parts;
        return (execution.Execution == Execution.Subdivided ? work.Text[begin..end] : work.Text).ToUpperInvariant();
    }
}

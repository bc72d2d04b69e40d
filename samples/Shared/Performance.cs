// What the parents of all samples end with: the verdict of the run, and the exit code that says it.
namespace Samples.Shared;

/// <summary>What a run has come to.</summary>
internal interface IVerdict
{
    /// <summary>Whether the sample has kept its promise.</summary>
    bool IsGood { get; }

    /// <summary>The figures, and the judgement in the last line.</summary>
    IEnumerable<string> Lines();
}

/// <summary>A run, from the command line to the exit code: 0 the promise was kept, 1 it was not, 2 the run could not be carried out.</summary>
internal static class Performance
{
    private const int CouldNotRun = 2;

    public static async Task<int> RunAsync(Func<Task<IVerdict>> play)
    {
        try
        {
            IVerdict verdict = await play();
            foreach (string line in verdict.Lines())
                Console.WriteLine(line);
            return verdict.IsGood ? 0 : 1;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or FormatException or TimeoutException or InvalidOperationException or OperationCanceledException)
        {
            Console.Error.WriteLine(e.Message);
            return CouldNotRun;
        }
    }
}

using Core.Groups.Testing.Simulation;

namespace Simulator;

/// <summary>One written scenario from a file.</summary>
internal static class ScriptRun
{
    public static int Run(FileInfo file, bool verbose)
    {
        try
        {
            // What is expected stands after a line of dashes; here the run itself is asked for.
            string commands = File.ReadAllText(file.FullName).Split("\n----")[0];
            string seen = ScriptedScenario.Run(commands, out SimulatedCluster cluster);
            if (verbose)
                foreach (string line in FailureReport.Merge(cluster.LogLines, cluster.History)) Console.WriteLine(line);
            Console.Write(seen);
            return cluster.Violations.Count == 0 ? 0 : 1;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or FormatException)
        {
            Console.Error.WriteLine(exception.Message);
            return 2;
        }
    }
}

using System.Globalization;
using Core.Groups.Testing.Simulation;

namespace Simulator;

/// <summary>What messages cost in large groups, in frames of all nodes together.</summary>
internal static class FrameTable
{
    private const ulong Seed = 1;

    public static int Run(string sizes)
    {
        int[] nodes = [.. sizes.Split(',').Select(size => int.TryParse(size, NumberStyles.None, CultureInfo.InvariantCulture, out int n) && n is > 1 and <= 500 ? n : 0)];
        if (nodes.Contains(0))
        {
            Console.Error.WriteLine($"'{sizes}' is no list of numbers of nodes like 10,50,100,200 (2 to 500).");
            return 2;
        }
        Console.WriteLine("nodes  floors    formed after    in frames  one message  eight at once  one safe message  one GBCAST");
        foreach (int n in nodes)
        {
            Print("direct", LargeCluster.Measure(Seed, n, gatherAbove: int.MaxValue));
            Print("gathered", LargeCluster.Measure(Seed, n, gatherAbove: 1));
        }
        return 0;
    }

    private static void Print(string floors, FrameCounts counts) =>
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{counts.Nodes,5}  {floors,-8}  {counts.Formed.TotalSeconds,10:0.00} s  {counts.Forming,11}  {counts.Message,11}  {counts.Batch,13}  {counts.Safe,16}  {counts.Change,10}"));
}

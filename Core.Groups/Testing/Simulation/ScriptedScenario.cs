// A scenario that a person writes: one command a line, then what every node must have seen. The specification in examples.
// Keeps: the network has one fixed delay, so a written scenario reads as it runs; the same text gives the same run.
using System.Collections.Immutable;
using System.Globalization;
using Core.Groups.Protocol;
using Core.Groups.Testing.Checkers;

namespace Core.Groups.Testing.Simulation;

/// <summary>
/// Commands: <c>option nodes|seeds a b c</c>, <c>option stored</c> (the nodes have stable stores), <c>option extended</c> (extended mode), <c>option state-time|handling-time|delay 10ms</c>, <c>start a b</c>, <c>crash a</c>,
/// <c>restart a</c>, <c>freeze a</c>, <c>thaw a</c>, <c>stop a</c>, <c>join a /g</c>, <c>leave a /g</c>, <c>delete a /g</c>, <c>migrate a /g b</c>, <c>send a total /g x</c>,
/// <c>request a total /g all x</c>, <c>watch a /g</c>, <c>flush a</c>, <c>force a</c> (an operator forces a primary), <c>cut a|b c</c> (a partition), <c>oneway a&gt;b</c>, <c>heal</c>, <c>break a b</c>,
/// <c>run 2s</c>, <c>settle</c> (heals and thaws everything, and waits for rest). A <c>#</c> starts a comment.
/// </summary>
internal sealed class ScriptedScenario
{
    private static readonly TimeSpan SettleLimit = TimeSpan.FromSeconds(60);

    private readonly Dictionary<ulong, string> labels = [];
    private readonly Dictionary<string, string[]> options = [];
    private readonly List<(int Number, string[] Words)> commands = [];

    private ScriptedScenario(string text)
    {
        int number = 0;
        foreach (string line in text.Split('\n'))
        {
            number++;
            string[] words = line.Split('#')[0].Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
            if (words is ["option", var name, .. var values]) options[name] = values;
            else if (words.Length > 0) commands.Add((number, words));
        }
        Cluster = new SimulatedCluster(1, [.. options.GetValueOrDefault("nodes") ?? NamesIn(commands)], Options());
    }

    public SimulatedCluster Cluster { get; }

    /// <summary>Runs a scenario to its end and returns what every node saw.</summary>
    /// <exception cref="FormatException">A line is no command.</exception>
    public static string Run(string text, out SimulatedCluster cluster)
    {
        ScriptedScenario scenario = new(text);
        cluster = scenario.Cluster;
        foreach ((int number, string[] words) in scenario.commands)
        {
            try
            {
                scenario.Do(words);
            }
            catch (Exception exception) when (exception is FormatException or KeyNotFoundException or ArgumentException or OverflowException)
            {
                throw new FormatException($"Line {number}: '{string.Join(' ', words)}' is no command: {exception.Message}", exception);
            }
        }
        SimulationRun.Judge(cluster, scenario.commands is [.., (_, ["settle"])], scenario.Continuity);
        return ScriptSummary.Of(cluster, scenario.labels);
    }

    /// <summary>A time with its unit: <c>2s</c>, <c>500ms</c>, <c>20us</c>.</summary>
    /// <exception cref="FormatException">The text is no time.</exception>
    public static TimeSpan ParseTime(string text)
    {
        (string digits, double unit) =
            text.EndsWith("ms", StringComparison.Ordinal) ? (text[..^2], 1000.0)
            : text.EndsWith("us", StringComparison.Ordinal) ? (text[..^2], 1.0)
            : text.EndsWith('s') ? (text[..^1], 1_000_000.0) : throw new FormatException($"'{text}' is not a time like 2s, 500ms or 20us.");
        return TimeSpan.FromMicroseconds(double.Parse(digits, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture) * unit);
    }

    private static IEnumerable<string> NamesIn(List<(int Number, string[] Words)> commands) =>
        commands.Where(command => command.Words[0] == "start").SelectMany(command => command.Words.Skip(1)).Distinct();

    private PrimaryContinuity Continuity => commands.Exists(command => command.Words[0] == "force") ? PrimaryContinuity.None
        : IsStored ? PrimaryContinuity.MajorityOfNames : PrimaryContinuity.VotesOrProof;

    private bool IsStored => options.ContainsKey("stored");

    private SimulationOptions Options()
    {
        TimeSpan delay = Time("delay", TimeSpan.FromMilliseconds(1));
        return new SimulationOptions
        {
            Seeds = options.TryGetValue("seeds", out string[]? seeds) ? [.. seeds] : default,
            Settings = settings => settings with { IsExtended = options.ContainsKey("extended") },
            Disk = IsStored ? new DiskProfile { SyncTime = delay, SlowChance = 0 } : null,
            Network = new NetworkProfile { MinimumDelay = delay, UsualDelay = delay, LateChance = 0 },
            Application = new ApplicationProfile
            {
                EchoChance = 0, ErrorReplyChance = 0, NoReplyChance = 0,
                HandlingTime = Time("handling-time", TimeSpan.Zero), StateTime = Time("state-time", TimeSpan.Zero),
            },
        };
    }

    private TimeSpan Time(string option, TimeSpan otherwise) =>
        options.TryGetValue(option, out string[]? values) ? ParseTime(values[0]) : otherwise;

    private void Do(string[] words)
    {
        switch (words)
        {
            case ["start", .. var names]: Cluster.Start(names); break;
            case ["restart", var name]: Cluster.Start(name); break;
            case ["crash", var name]: Cluster.Crash(name); break;
            case ["freeze", var name]: Cluster.Freeze(name); break;
            case ["thaw", var name]: Cluster.Thaw(name); break;
            case ["stop", var name]: Cluster.Stop(name); break;
            case ["force", var name]: Cluster.ForcePrimary(name); break;
            case ["flush", var name]: Cluster.Flush(name); break;
            case ["join", var name, var group]: Cluster.Join(name, group); break;
            case ["leave", var name, var group]: Cluster.Leave(name, group); break;
            case ["delete", var name, var group]: Cluster.Delete(name, group); break;
            case ["migrate", var name, var group, var to]: Cluster.Migrate(name, group, to); break;
            case ["watch", var name, var group]: Cluster.Watch(name, group); break;
            case ["heal"]: Cluster.Heal(); break;
            case ["settle"]: Cluster.Quiesce(SettleLimit); break;
            case ["run", var time]: Cluster.RunFor(ParseTime(time)); break;
            case ["break", var first, var second]: Cluster.Break(first, second); break;
            case ["cut", ..]: Cut(string.Join(' ', words.Skip(1))); break;
            case ["oneway", var pair] when pair.Split('>') is [var from, var to]: Cluster.CutOneWay(from, to); break;
            case ["send", var name, var order, var group, var label]: Send(name, order, group, label); break;
            case ["request", var name, var order, var group, var mode, var label]: Request(name, order, group, mode, label); break;
            default: throw new FormatException("it has not the form of any.");
        }
    }

    private void Cut(string components)
    {
        string[][] parts = [.. components.Split('|').Select(part => part.Split(' ', StringSplitOptions.RemoveEmptyEntries))];
        foreach (string name in parts.SelectMany(part => part)) _ = Cluster[name];
        Cluster.Partition(parts);
    }

    private void Send(string name, string order, string group, string label)
    {
        if (Cluster.Send(name, Parse<Order>(order), group) is not { } sent)
            throw new FormatException($"{name} is no member of {group}, or has no state yet.");
        labels.Add(sent.Marker, label);
    }

    private void Request(string name, string order, string group, string mode, string label)
    {
        if (Cluster.Request(name, Parse<Order>(order), group, Parse<ReplyMode>(mode)) is { } sent) labels.Add(sent.Marker, label);
    }

    /// <summary>Names as the trace writes them: <c>causal-total</c> is <c>CausalTotal</c>.</summary>
    private static T Parse<T>(string text) where T : struct, Enum => Enum.Parse<T>(text.Replace("-", ""), ignoreCase: true);
}

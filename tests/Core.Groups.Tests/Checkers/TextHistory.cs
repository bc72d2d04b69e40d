// Histories as text, so that a test of a checker reads like the figure of a paper. One event a line:
//   a,b conf c1 [a b] primary   a trans c2 [a]        a view /g 1 v1 [a b] +a +b -c     a state /g 1     a leave /g
//   a send m1 causal /g [label=L] [call=1] [to=b] [for=x]     b deliver m1     a call 1     a block|unblock|exclude|fail
// Nodes before the word: each gets the line. "a" is a.1, "a.2" its next incarnation. "#" starts a comment.
using System.Collections.Immutable;
using System.Globalization;
using Core.Groups.Testing.Checkers;
using Core.Groups.Tracing;

namespace Core.Groups.Tests.Checkers;

internal static class TextHistory
{
    /// <summary>One group of three, which all join at its creation; the first line of most tests.</summary>
    internal const string ThreeInOneGroup = """
        a,b,c conf c1 [a b c] primary
        a,b,c view /g 1 v1 [a b c] +a +b +c
        b,c state /g 1

        """;

    internal static History Parse(string text) => History.From(ParseEvents(text));

    internal static List<TraceEvent> ParseEvents(string text)
    {
        string[][] lines = [.. text.Split('\n')
            .Select(line => line.Split('#')[0].Replace("[", "[ ", StringComparison.Ordinal).Replace("]", " ]", StringComparison.Ordinal))
            .Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
            .Where(words => words.Length > 0)];
        var sends = new Dictionary<string, TraceEvent>();
        foreach (string[] words in lines.Where(words => words[1] == "send"))
            sends.TryAdd(words[2], ParseLine(words[0].Split(',')[0], words, default, sends));
        var events = new List<TraceEvent>();
        foreach (string[] words in lines)
        {
            foreach (string node in words[0].Split(','))
                events.Add(ParseLine(node, words, TimeSpan.FromMilliseconds(events.Count), sends));
        }
        return events;
    }

    private static TraceEvent ParseLine(string node, string[] words, TimeSpan time, Dictionary<string, TraceEvent> sends)
    {
        var line = new TraceEvent { Kind = TraceKind.Fail, Node = Node(node), Time = time };
        switch (words[1])
        {
            case "conf" or "trans":
                return line with
                {
                    Kind = TraceKind.Configuration,
                    ConfigurationId = words[2],
                    IsTransitional = words[1] == "trans",
                    Members = Members(words),
                    IsPrimary = words[^1] == "primary",
                };
            case "view":
                return line with
                {
                    Kind = TraceKind.View,
                    Group = words[2],
                    ViewNumber = Number(words[3]),
                    ViewId = words[4],
                    IsPrimary = true,
                    Members = Members(words),
                    Joined = Marked('+', words),
                    Left = Marked('-', words),
                };
            case "send":
                string[] groups = words.Length > 4 && words[4][0] == '/' ? words[4].Split(',') : [];
                return line with
                {
                    Kind = TraceKind.Send,
                    Message = words[2],
                    Order = Parse<Order>(words[3], TraceNames.TryParseOrder),
                    Group = groups.Length == 1 ? groups[0] : null,
                    Groups = groups.Length > 1 ? [.. groups] : [],
                    Label = Option("label", words),
                    To = Option("to", words)?.Split('+').ToImmutableArray() ?? [],
                    For = Option("for", words),
                    Call = Number(Option("call", words) ?? "0"),
                };
            case "deliver":
                TraceEvent send = sends.TryGetValue(words[2], out TraceEvent? sent)
                    ? sent : line with { Message = words[2], Group = "/g", Node = Node("nobody") };
                return send with { Kind = TraceKind.Deliver, Node = line.Node, Time = time, From = send.Node.Name, Call = 0 };
            case "state":
                return line with { Kind = TraceKind.State, Group = words[2], ViewNumber = Number(words[3]) };
            case "leave":
                return line with { Kind = TraceKind.Leave, Group = words[2] };
            case "call":
                return line with { Kind = TraceKind.Call, Call = Number(words[2]) };
            default:
                return line with { Kind = Parse<TraceKind>(words[1], TraceNames.TryParseKind) };
        }
    }

    private delegate bool TryParse<T>(string word, out T value);

    private static T Parse<T>(string word, TryParse<T> tryParse) =>
        tryParse(word, out T value) ? value : throw new FormatException($"unknown word \"{word}\"");

    private static NodeId Node(string text) =>
        text.Split('.') is [string name, string incarnation] ? new NodeId(name, Number(incarnation)) : new NodeId(text, 1);

    private static ImmutableArray<NodeId> Members(string[] words) =>
        [.. words.SkipWhile(word => word != "[").Skip(1).TakeWhile(word => word != "]").Select(Node)];

    private static ImmutableArray<NodeId> Marked(char mark, string[] words) =>
        [.. words.Skip(5).Where(word => word[0] == mark).Select(word => Node(word[1..]))];

    private static string? Option(string name, string[] words) =>
        words.FirstOrDefault(word => word.StartsWith(name + "=", StringComparison.Ordinal))?[(name.Length + 1)..];

    private static long Number(string word) => long.Parse(word, CultureInfo.InvariantCulture);
}

// A schedule as text: one act after the other, and a generator of random ones.
// Keeps: the same text is the same run, whatever was random when it was found; an act that finds nothing to do is no error.
using Core.Groups.Protocol;

namespace Core.Groups.Tests.Paper;

/// <summary>
/// Acts: <c>dl ab</c> (deliver the next frame from a to b; <c>dl ab 6</c>: the next six), <c>drain</c>, <c>some 9</c> (frames, each link in turn), <c>steps 9</c> (the same, and where there is none, time passes), <c>tick a</c> (25 ms pass at one node; <c>tick a 57</c>: so often), <c>hold ab</c>, <c>go ab</c>, <c>send a Total g</c>,
/// <c>both a Total</c> (to g and h), <c>beside a Total g b</c> (to g and to b as a single process), <c>label a Total g</c> or <c>label a Total</c> (with a label, to g or to both), <c>big a Total g</c> (more than a frame), <c>join a g</c>, <c>giveup a g</c> (a join), <c>leave a g</c>, <c>configure a g</c>, <c>rank a g</c>, <c>crash a</c>, <c>start a</c>, <c>sever ab</c>, <c>mend ab</c>,
/// <c>break ab</c> (loses what is on its way from a to b), <c>work abc</c> (time passes until these work together, without the others). They are separated by commas.
/// </summary>
/// <param name="Names">The nodes.</param>
/// <param name="Groups">The groups and their members: <c>g=abc h=ab</c>.</param>
/// <param name="Acts">The acts.</param>
/// <param name="IsStored">Whether the nodes have stable stores.</param>
/// <param name="IsExtended">Whether the nodes are in extended mode.</param>
/// <param name="Gathers">Whether the oldest member of each group gathers the floors, as in a large group.</param>
internal sealed record Schedule(string Names, string Groups, string Acts, bool IsStored = false, bool IsExtended = false, bool Gathers = false)
{
    private static readonly Order[] Totals = [Order.Total, Order.CausalTotal, Order.Safe];
    private static readonly Order[] Orders = [Order.Reliable, Order.Fifo, Order.Causal, Order.Total, Order.CausalTotal, Order.Safe, Order.Group];

    /// <summary>Runs to the quiet end, and judges.</summary>
    public IReadOnlyList<string> Run(WeakRules weak = WeakRules.None)
    {
        var groups = Groups.Split(' ').Select(g => g.Split('=')).ToDictionary(g => g[0], g => g[1]);
        var cluster = new HandDrivenCluster(Names, groups, weak, IsStored, IsExtended, Gathers);
        foreach (string act in Acts.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)) Do(cluster, act.Split(' '));
        cluster.Quiet();
        return cluster.Judge();
    }

    public static void Do(HandDrivenCluster cluster, string[] act)
    {
        string first = act.Length > 1 ? act[1][..1] : "", second = act.Length > 1 ? act[1][^1..] : "";
        switch (act[0])
        {
            case "dl": for (int i = act.Length > 2 ? Count(act[2]) : 1; i > 0; i--) cluster.Deliver(first, second); break;
            case "drain": cluster.Drain(); break;
            case "some": cluster.DeliverSome(Count(act[1])); break;
            case "steps": cluster.Step(Count(act[1])); break;
            case "tick": for (int i = act.Length > 2 ? Count(act[2]) : 1; i > 0; i--) cluster.Tick(first); break;
            case "work":
                if (!cluster.Work(act[1])) cluster.Violate($"{act[1]} can reach each other, and do not work together.");
                break;
            case "hold": cluster.Hold(first, second); break;
            case "go": cluster.Release(first, second); break;
            case "send": cluster[first].Send(act[3], Enum.Parse<Order>(act[2])); break;
            case "both": cluster[first].Send(["g", "h"], Enum.Parse<Order>(act[2]), null); break;
            case "beside": cluster[first].Send([act[3]], Enum.Parse<Order>(act[2]), null, cluster[act[4]].Id); break;
            case "label": cluster[first].Send(act.Length > 3 ? [act[3]] : ["g", "h"], Enum.Parse<Order>(act[2]), "L"); break;
            case "big": cluster[first].Send(act[3], Enum.Parse<Order>(act[2]), 62_000); break;
            case "configure": cluster[first].Configure(act[2]); break;
            case "rank": cluster[first].Rank(act[2]); break;
            case "join": cluster[first].Join(act[2]); break;
            case "giveup": cluster[first].GiveUp(act[2]); break;
            case "leave": cluster[first].Leave(act[2]); break;
            case "crash": cluster.Crash(first); break;
            case "start": cluster.Start(first); break;
            case "sever": cluster.Sever(first, second); break;
            case "mend": cluster.Rejoin(first, second); break;
            case "break": cluster.Break(first, second); break;
            default: throw new ArgumentException($"'{string.Join(' ', act)}' is no act.", nameof(act));
        }
    }

    private static int Count(string text) => int.Parse(text, System.Globalization.CultureInfo.InvariantCulture);

    /// <summary>A random schedule: the acts depend on what is under way, so it is run with a rule or without while it is drawn.</summary>
    public static (Schedule Schedule, IReadOnlyList<string> Violations) Random(int seed, WeakRules weak, int steps, bool isExtended = false, bool gathers = false)
    {
        var random = new Random(seed);
        string names = "abcde"[..random.Next(3, 6)];
        string Some(int count) => new([.. names.OrderBy(_ => random.Next()).Take(count).Order()]);
        string groups = $"g={Some(random.Next(2, 5))} h={Some(random.Next(2, 4))}";
        double churn = random.Next(6) switch { 0 => 20, 1 or 2 => 6, _ => random.NextDouble() }, membership = random.NextDouble();
        int crashesLeft = (names.Length - 1) / 2;      // with more than these a session may be forgotten, and what it saw with it
        var cluster = new HandDrivenCluster(names, groups.Split(' ').ToDictionary(g => g[..1], g => g[2..]), weak, isExtended: isExtended, gathers: gathers);
        var acts = new List<string>();
        for (int i = 0; i < steps && cluster.Violations.Count == 0; i++)
        {
            string act = Draw();
            if (act.Length == 0) continue;
            acts.Add(act);
            Do(cluster, act.Split(' '));
        }
        cluster.Quiet();
        return (new Schedule(names, groups, string.Join(", ", acts), IsExtended: isExtended, Gathers: gathers), cluster.Judge());

        string Draw()
        {
            string a = Some(1), b = names.Replace(a, "")[random.Next(names.Length - 1)].ToString();
            string group = random.Next(2) == 0 ? "g" : "h";
            double drawn = random.NextDouble();
            if (random.NextDouble() < 0.02 * churn)
            {
                int fault = random.Next(7);
                if (fault == 0 && crashesLeft-- <= 0) return "";
                return fault switch { 0 => $"crash {a}", 1 => $"start {a}", 2 or 3 => $"sever {a}{b}", 4 or 5 => $"mend {a}{b}", _ => $"break {a}{b}" };
            }
            if (drawn < 0.65)
            {
                var links = cluster.Deliverable;
                if (links.Length == 0) return $"tick {a}";
                (string from, string to) = links[random.Next(links.Length)];
                return $"dl {from}{to}";
            }
            if (drawn < 0.74) return random.Next(5) switch
            {
                0 => $"label {a} {Totals[random.Next(Totals.Length)]} {group}",
                1 => $"label {a} {Totals[random.Next(Totals.Length)]}",
                2 => $"beside {a} {Orders[random.Next(Orders.Length)]} {group} {b}",
                _ => $"both {a} {Orders[random.Next(Orders.Length)]}",
            };
            if (drawn < 0.78) return $"send {a} {Orders[random.Next(Orders.Length)]} {group}";
            if (drawn < 0.79) return $"big {a} {Orders[random.Next(Orders.Length)]} {group}";
            if (drawn < 0.86) return $"tick {a}";
            if (drawn < 0.88) return $"hold {a}{b}";
            if (drawn < 0.90) return $"go {a}{b}";
            if (drawn >= 0.90 + (0.1 * membership)) return "";
            return random.Next(6) switch { < 2 => $"join {a} {group}", < 4 => $"leave {a} {group}", 4 => $"configure {a} {group}", _ => $"rank {a} {group}" };
        }
    }
}

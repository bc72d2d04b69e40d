using System.Globalization;
using Core.Groups.Tracing;

namespace Core.Groups.Testing.Simulation;

/// <summary>Trace lines for people.</summary>
internal static class TraceText
{
    /// <summary>What happened, without time and node.</summary>
    public static string Describe(TraceEvent line) => line.Kind switch
    {
        TraceKind.Configuration =>
            $"conf {line.ConfigurationId}{(line.IsTransitional ? " transitional" : "")}{(line.IsPrimary ? " primary" : "")} [{string.Join(' ', line.Members)}]",
        TraceKind.View => $"view {line.ViewNumber} of {line.Group} [{string.Join(' ', line.Members)}]{(line.IsPrimary ? "" : " not primary")}",
        TraceKind.Leave => $"leave {line.Group}",
        TraceKind.Send => $"send {line.Message} {line.Order} {Where(line)}{(line.Call == 0 ? "" : $" call {line.Call}")}",
        TraceKind.Deliver => $"deliver {line.Message} {line.Order} {Where(line)}",
        TraceKind.State => $"state of {line.Group} in view {line.ViewNumber}",
        TraceKind.Call => $"call {line.Call}",
        _ => line.Kind.ToString().ToLowerInvariant(),
    };

    /// <summary>A whole line, with the world's time in seconds.</summary>
    public static string Line(TraceEvent line) =>
        string.Create(CultureInfo.InvariantCulture, $"{line.Time.TotalSeconds:000.000000} {line.Node} {Describe(line)}");

    private static string Where(TraceEvent line) =>
        line.Group ?? (line.Groups.IsEmpty ? "to " + string.Join(' ', line.To) : string.Join(' ', line.Groups));
}

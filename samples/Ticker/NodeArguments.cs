using System.CommandLine;
using Core.Groups;
using Samples.Shared;

namespace Ticker;

/// <summary>What every child process is told on its command line.</summary>
internal sealed class NodeArguments
{
    private readonly Option<string> _name = new("--name") { Required = true };
    private readonly Option<string> _listen = new("--listen") { Required = true };
    private readonly Option<string> _seeds = new("--seeds") { Required = true };
    private readonly Option<string> _symbols = new("--symbols") { Required = true };

    public void AddTo(Command command)
    {
        command.Add(_name);
        command.Add(_listen);
        command.Add(_seeds);
        command.Add(_symbols);
    }

    public string[] Symbols(ParseResult given) => given.GetRequiredValue(_symbols).Split(',');

    public GroupNodeOptions NodeOptions(ParseResult given) => new()
    {
        Name = given.GetRequiredValue(_name),
        Listen = given.GetRequiredValue(_listen),
        Seeds = given.GetRequiredValue(_seeds).Split(','),
        Cluster = "ticker",
        SuspectAfter = ChildProcess.MayStandStill,
        Serializer = new JsonPayloadSerializer(TickerJson.Default),
    };

    /// <summary>The same, as the parent writes it.</summary>
    public static string[] Write(string role, string name, string address, IEnumerable<string> seeds, IEnumerable<string> symbols) =>
        [role, "--name", name, "--listen", address, "--seeds", string.Join(',', seeds), "--symbols", string.Join(',', symbols)];
}

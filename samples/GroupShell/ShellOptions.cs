// The options of the process, by the names of the shell's contract, and what they mean for the node.
using System.CommandLine;
using System.CommandLine.Parsing;
using Core.Groups;

namespace GroupShell;

/// <summary>Makes the command line, and the node's options from what was given.</summary>
internal sealed class ShellOptions
{
    private readonly Option<string> _name = new("--name") { Description = "The node's name: stable, unique among the live nodes of the cluster.", Required = true };
    private readonly Option<string> _listen = new("--listen") { Description = "host:port to listen on; port 0 takes any free one.", DefaultValueFactory = _ => "127.0.0.1:0" };
    private readonly Option<string[]> _seeds = new("--seeds") { Description = "Addresses of nodes to find the cluster by, the same at all nodes; separated by commas.", CustomParser = ParseSeeds, DefaultValueFactory = _ => [] };
    private readonly Option<string> _cluster = new("--cluster") { Description = "The cluster's name.", DefaultValueFactory = _ => "default" };
    private readonly Option<FileInfo?> _keyFile = new("--key-file") { Description = "A file with the cluster's key (at least 16 bytes; line ends at its end do not count)." };
    private readonly Option<string> _mode = new("--mode") { Description = "primary: only a majority works; extended: every component goes on. The same at all nodes.", DefaultValueFactory = _ => "primary" };
    private readonly Option<int> _minimumWeight = new("--min-primary-weight") { Description = "The weight of seeds that every primary configuration needs; 0: a majority." };
    private readonly Option<int> _weight = new("--weight") { Description = "The node's weight in majorities.", DefaultValueFactory = _ => 1 };
    private readonly Option<string> _site = new("--site") { Description = "The node's site.", DefaultValueFactory = _ => "" };
    private readonly Option<bool> _insecure = new("--insecure") { Description = "Listen on other than loopback addresses without a key." };
    private readonly Option<DirectoryInfo?> _data = new("--data") { Description = "The node's own folder of stable storage: with it the node remembers its votes over a restart." };
    private readonly Option<bool> _logged = new("--logged") { Description = "All groups and objects are logged under --data, and come back after all nodes have failed." };
    private readonly Option<string?> _trace = new("--trace") { Description = "The folder for trace files." };
    private readonly Option<TimeSpan> _heartbeat = Duration("--heartbeat", "How often a silent link says that it lives.", TimeSpan.FromMilliseconds(200));
    private readonly Option<TimeSpan> _suspect = Duration("--suspect", "The silence after which a node is suspected.", TimeSpan.FromSeconds(2));
    private readonly Option<bool> _client = new("--client") { Description = "A thin client in place of a node: it calls groups through one of the seeds, and goes on through another one when that fails." };
    private readonly Option<bool> _json = new("--json") { Description = "Speak JSON lines, for programs." };

    public ShellOptions()
    {
        _mode.AcceptOnlyFromAmong("primary", "extended");
        Command = new RootCommand("One node of a cluster of process groups, driven by a person or, with --json, by a program.")
        {
            _name, _listen, _seeds, _cluster, _keyFile, _mode, _minimumWeight, _weight, _site, _insecure, _data, _logged, _trace, _heartbeat, _suspect, _client, _json,
        };
    }

    public RootCommand Command { get; }

    public bool IsJson(ParseResult given) => given.GetValue(_json);

    public bool IsClient(ParseResult given) => given.GetValue(_client);

    public bool LogsAll(ParseResult given) => given.GetValue(_logged);

    /// <exception cref="ArgumentException">The key file cannot be read.</exception>
    public GroupClientOptions ClientOptions(ParseResult given) => new()
    {
        Name = given.GetValue(_name)!,
        Nodes = given.GetValue(_seeds)!,
        Cluster = given.GetValue(_cluster)!,
        ClusterKey = given.GetValue(_keyFile) is { } file ? ReadKey(file) : null,
    };

    /// <exception cref="ArgumentException">The key file cannot be read.</exception>
    public GroupNodeOptions NodeOptions(ParseResult given)
    {
        return new GroupNodeOptions
        {
            Name = given.GetValue(_name)!,
            Listen = given.GetValue(_listen)!,
            Seeds = given.GetValue(_seeds)!,
            Cluster = given.GetValue(_cluster)!,
            ClusterKey = given.GetValue(_keyFile) is { } file ? ReadKey(file) : null,
            Mode = given.GetValue(_mode) == "extended" ? ClusterMode.Extended : ClusterMode.Primary,
            MinimumPrimaryWeight = given.GetValue(_minimumWeight),
            Weight = given.GetValue(_weight),
            Site = given.GetValue(_site)!,
            AllowInsecure = given.GetValue(_insecure),
            DataDirectory = given.GetValue(_data)?.FullName,
            TracePath = given.GetValue(_trace),
            Heartbeat = given.GetValue(_heartbeat),
            SuspectAfter = given.GetValue(_suspect),
        };
    }

    private static byte[] ReadKey(FileInfo file)
    {
        try
        {
            return File.ReadAllBytes(file.FullName).AsSpan().TrimEnd("\r\n"u8).ToArray();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ArgumentException($"The key file cannot be read: {e.Message}", e);
        }
    }

    private static string[] ParseSeeds(ArgumentResult given) =>
        [.. given.Tokens.SelectMany(t => t.Value.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))];

    private static Option<TimeSpan> Duration(string name, string description, TimeSpan usual) => new(name)
    {
        Description = description + " Written 250ms, 5s, 1m.",
        DefaultValueFactory = _ => usual,
        CustomParser = given =>
        {
            if (!Durations.TryParse(given.Tokens[0].Value, out TimeSpan duration))
                given.AddError($"{name} must be a time such as 250ms or 5s, but is '{given.Tokens[0].Value}'.");
            return duration;
        },
    };
}

// The child's end of the pipe to its parent.
// Keeps: when the parent is gone the child ends, by itself if it can, else by force a few seconds later.
using System.Text.Json.Nodes;
using System.Threading.Channels;

namespace Samples.Shared;

/// <summary>What the parent says, and a way to answer.</summary>
internal sealed class ParentLink
{
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(5);

    private readonly Channel<JsonObject> _said = Channel.CreateUnbounded<JsonObject>();
    private readonly CancellationTokenSource _gone = new();
    private readonly Lock _gate = new();

    public ParentLink() => new Thread(Listen) { IsBackground = true, Name = "parent" }.Start();

    /// <summary>The parent's lines, until it is gone.</summary>
    public ChannelReader<JsonObject> Said => _said.Reader;

    /// <summary>Cancelled when the parent is gone, or has said that all is over by closing the pipe.</summary>
    public CancellationToken Gone => _gone.Token;

    /// <summary>Tells the parent. Safe for any thread.</summary>
    public void Report(JsonObject line)
    {
        string text = line.ToJsonString();
        lock (_gate)
        {
            Console.Out.WriteLine(text);
            Console.Out.Flush();
        }
    }

    private void Listen()
    {
        while (Console.In.ReadLine() is { } line)
        {
            if (Lines.Parse(line) is { } said)
                _said.Writer.TryWrite(said);
        }

        new Thread(EndByForce) { IsBackground = true }.Start();
        _ = _gone.CancelAsync();
        _said.Writer.TryComplete();
    }

    private static void EndByForce()
    {
        Thread.Sleep(Grace);
        Environment.Exit(1);
    }
}

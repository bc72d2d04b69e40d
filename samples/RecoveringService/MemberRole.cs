// A member: keeps the ledger, writes to it, and tells its parent what was acknowledged.
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Core.Groups;
using Samples.Shared;
using Toolkit.Recovery;

namespace RecoveringService;

/// <summary>The member's process.</summary>
internal static class MemberRole
{
    public const string Group = "/ledger";
    private const int SmallCheckpoint = 1 << 20; // so that checkpoints and ends of logs meet the kills
    private const int Writers = 8;

    public static async Task<int> RunAsync(string name, string listen, string[] seeds, string data, long keepLog, ParentLink parent)
    {
        try
        {
            await using GroupNode node = await GroupNode.StartAsync(
                new GroupNodeOptions
                {
                    Name = name, Listen = listen, Seeds = seeds, DataDirectory = data, Cluster = "recovering-service", Heartbeat = TimeSpan.FromMilliseconds(100),
                    SuspectAfter = ChildProcess.MayStandStill,
                },
                parent.Gone);
            var ledger = new Ledger(progress => parent.Report(new JsonObject { [progress.IsDonor ? "gives" : "takes"] = progress.Bytes }));
            await using LoggedGroup group = await node.JoinLoggedAsync(Group, ledger.Options(), new LoggedGroupOptions
            {
                CheckpointAfter = SmallCheckpoint, KeepLog = keepLog,
                OnWaiting = status => parent.Report(new JsonObject { ["waits"] = status.Reason }),
            }, parent.Gone);
            parent.Report(new JsonObject { ["ready"] = ledger.Count, ["origin"] = group.StateOrigin.ToString() });
            using var writing = CancellationTokenSource.CreateLinkedTokenSource(parent.Gone);
            Task writes = Task.WhenAll(Enumerable.Range(0, Writers).Select(w => WriteAsync(node, group, w, parent, writing.Token)));
            await foreach (JsonObject said in parent.Said.ReadAllAsync(CancellationToken.None))
            {
                await writing.CancelAsync();
                await writes;
                await group.FlushAsync(parent.Gone);
                parent.Report(said["halt"] is null
                    ? new JsonObject { ["entries"] = new JsonArray([.. ledger.Entries.Select(e => (JsonNode)e)]) } : new JsonObject { ["halted"] = true });
            }

            return 0;
        }
        catch (OperationCanceledException) when (parent.Gone.IsCancellationRequested)
        {
            return 0;
        }
        catch (Exception e) when (e is GroupException or InvalidOperationException or IOException)
        {
            Console.Error.WriteLine($"{name}: {e.Message}");
            return 1;
        }
    }

    private static async Task WriteAsync(GroupNode node, LoggedGroup group, int writer, ParentLink parent, CancellationToken stop)
    {
        for (int number = 1; !stop.IsCancellationRequested; number++)
        {
            string entry = $"{node.Id}-{writer}-{number}";
            try
            {
                await group.UpdateAsync(entry.PadRight(Ledger.MessageSize), stop);
                parent.Report(new JsonObject { ["stable"] = entry });
                if (number % 100 == 0 && writer == 0) await group.CheckpointAsync(stop);
            }
            catch (ExcludedException)
            {
                // It may be in the ledger or not: nobody was told that it is. The group is joined again by itself.
                await node.WaitForPrimaryAsync(stop);
            }
            catch (Exception e) when (e is OperationCanceledException or NotMemberException or NodeStoppedException)
            {
                return;
            }
        }
    }
}

/// <summary>The replicated state: entries in the order of their delivery.</summary>
internal sealed class Ledger(Action<StateProgress> onProgress)
{
    /// <summary>Characters of an update: long, so that the log comes to the ends of its parts.</summary>
    public const int MessageSize = 2000;

    private const int PieceSize = 16 << 10;

    private readonly Lock _gate = new();
    private List<string> _entries = [];

    public string[] Entries
    {
        get
        {
            lock (_gate) return [.. _entries];
        }
    }

    public int Count
    {
        get
        {
            lock (_gate) return _entries.Count;
        }
    }

    public GroupOptions Options() => new()
    {
        State = StateTransfer.Stream(Save, LoadAsync, () => Set([]), onProgress),
        Configure = group => group.On<string>((entry, _) =>
        {
            lock (_gate) _entries.Add(entry.TrimEnd());
            return default;
        }),
    };

    private ValueTask<StateSnapshot> Save()
    {
        byte[] all = JsonSerializer.SerializeToUtf8Bytes(Entries, LedgerJson.Default.StringArray);
        return ValueTask.FromResult(new StateSnapshot(all.Chunk(PieceSize).Select(piece => (ReadOnlyMemory<byte>)piece).ToAsyncEnumerable(), all.Length));
    }

    private async ValueTask LoadAsync(StateReader pieces)
    {
        var all = new MemoryStream();
        await foreach (ReadOnlyMemory<byte> piece in pieces) all.Write(piece.Span);
        await Set([.. JsonSerializer.Deserialize(all.ToArray(), LedgerJson.Default.StringArray)!]);
    }

    private ValueTask Set(List<string> entries)
    {
        lock (_gate) _entries = entries;
        return default;
    }
}

/// <summary>The code that reads and writes the state, generated at build time.</summary>
[JsonSerializable(typeof(string[]))]
internal sealed partial class LedgerJson : JsonSerializerContext;

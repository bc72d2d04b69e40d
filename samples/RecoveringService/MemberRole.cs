// A member: keeps the ledger, writes to it, and tells its parent what was acknowledged.
using System.Text.Json.Nodes;
using Core.Groups;
using Samples.Shared;
using Toolkit.Recovery;

namespace RecoveringService;

/// <summary>The member's process.</summary>
internal static class MemberRole
{
    public const string Group = "/ledger";
    private const int SmallCheckpoint = 16 << 10; // so that checkpoints and ends of logs meet the kills

    public static async Task<int> RunAsync(string name, string listen, string[] seeds, string data, ParentLink parent)
    {
        try
        {
            await using GroupNode node = await GroupNode.StartAsync(
                new GroupNodeOptions { Name = name, Listen = listen, Seeds = seeds, DataDirectory = data, Cluster = "recovering-service", Heartbeat = TimeSpan.FromMilliseconds(100) }, parent.Gone);
            var ledger = new Ledger();
            await using LoggedGroup group = await node.JoinLoggedAsync(Group, ledger.Options(), new LoggedGroupOptions
            {
                CheckpointAfter = SmallCheckpoint,
                OnWaiting = status => parent.Report(new JsonObject { ["waits"] = status.Reason }),
            }, parent.Gone);
            parent.Report(new JsonObject { ["ready"] = ledger.Count });
            using var writing = CancellationTokenSource.CreateLinkedTokenSource(parent.Gone);
            Task writes = WriteAsync(node, group, parent, writing.Token);
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

    private static async Task WriteAsync(GroupNode node, LoggedGroup group, ParentLink parent, CancellationToken stop)
    {
        for (int number = 1; !stop.IsCancellationRequested; number++)
        {
            string entry = $"{node.Id}-{number}";
            try
            {
                await group.UpdateAsync(entry, stop);
                parent.Report(new JsonObject { ["stable"] = entry });
                if (number % 100 == 0) await group.CheckpointAsync(stop);
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
internal sealed class Ledger
{
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

    public GroupOptions Options()
    {
        StateTransfer json = StateTransfer.Json(() => Entries, Set);
        return new GroupOptions
        {
            State = new StateTransfer
            {
                Save = json.Save, Load = json.Load,
                Initialize = () =>
                {
                    Set([]);
                    return default;
                },
            },
            Configure = group => group.On<string>((entry, _) =>
            {
                lock (_gate) _entries.Add(entry);
                return default;
            }),
        };
    }

    private void Set(string[] entries)
    {
        lock (_gate) _entries = [.. entries];
    }
}

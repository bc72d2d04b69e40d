// The operations on the node itself: config, stats, quiet.
using System.Text.Json;
using Core.Groups;

namespace GroupShell;

/// <summary>Carries out the operations on the node.</summary>
internal sealed class NodeOperations(GroupNode node, EventFeed feed)
{
    public Task<AnswerFields?> ConfigAsync()
    {
        Configuration? configuration = node.Configuration;
        return Answer(json =>
        {
            json.WriteString("id", configuration?.Id.ToString());
            json.WriteStartArray("members");
            foreach (NodeInfo member in node.Members)
            {
                json.WriteStartObject();
                json.WriteString("name", member.Id.Name);
                json.WriteNumber("inc", member.Id.Incarnation);
                json.WriteString("site", member.Site);
                json.WriteNumber("weight", member.Weight);
                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WriteBoolean("primary", configuration?.IsPrimary ?? false);
            json.WriteBoolean("blocked", node.IsBlocked);
            json.WriteStartArray("reachable");
            foreach (NodeId reachable in node.Reachable)
                json.WriteStringValue(reachable.Name);
            json.WriteEndArray();
        });
    }

    public Task<AnswerFields?> StatsAsync()
    {
        NodeStatistics statistics = node.GetStatistics();
        return Answer(json =>
        {
            json.WriteNumber("sent", statistics.Sent);
            feed.WriteCounts(json);
            json.WriteNumber("bytes", statistics.BytesSent);
            json.WriteNumber("bytes-received", statistics.BytesReceived);
            json.WriteNumber("bytes-delivered", statistics.DeliveredBytes);
            json.WriteNumber("unstable", statistics.Unstable);
            json.WriteNumber("queued", statistics.Queued);
            json.WriteNumber("waiting", statistics.Waiting);
            json.WriteNumber("memory", Environment.WorkingSet);
            json.WriteNumber("heap", GC.GetTotalMemory(forceFullCollection: false));
        });
    }

    public async Task<AnswerFields?> ForcePrimaryAsync(CancellationToken ct)
    {
        await node.ForcePrimaryAsync(ct);
        return null;
    }

    public Task<AnswerFields?> QuietAsync(CommandFields command)
    {
        feed.SetQuiet(command.Flag("on"));
        return Task.FromResult<AnswerFields?>(null);
    }

    private static Task<AnswerFields?> Answer(AnswerFields fields) => Task.FromResult<AnswerFields?>(fields);
}

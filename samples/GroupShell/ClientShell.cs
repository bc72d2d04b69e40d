// The shell of a thin client: it calls groups through one of the nodes, and is itself no node.
// Keeps: only `stop`, `crash` and the end of the input stop it; what is open when its node fails goes on through another one.
using System.Text.Json;
using Core.Groups;
using Toolkit.Recovery;

namespace GroupShell;

/// <summary>One client and what drives it.</summary>
internal sealed class ClientShell
{
    private readonly GroupClient _client;
    private readonly Answers _answers;
    private readonly Dictionary<string, Operation> _operations;
    private readonly GroupLanes _lanes = new();

    public ClientShell(GroupClient client, Answers answers)
    {
        (_client, _answers) = (client, answers);
        _operations = new()
        {
            ["config"] = (_, _) => Task.FromResult<AnswerFields?>(WriteSelf), ["send"] = SendAsync, ["request"] = RequestAsync, ["groups"] = GroupsAsync, ["find"] = FindAsync,
            ["delete"] = DeleteAsync, ["kill"] = KillAsync,
        };
    }

    /// <summary>The names of the operations, without `stop` and `crash`.</summary>
    public IReadOnlyCollection<string> Operations => _operations.Keys;

    /// <summary>Runs until something ends it; gives the exit code.</summary>
    /// <param name="terminate">The operating system asks the process to end.</param>
    public async Task<int> RunAsync(IAsyncEnumerable<byte[]?> commands, CancellationToken terminate)
    {
        JsonElement? stop = null;
        try
        {
            stop = await new CommandLoop(_operations, _answers, static () => { }).RunAsync(commands, terminate).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (terminate.IsCancellationRequested)
        {
            // It stops in order.
        }

        await _client.DisposeAsync().ConfigureAwait(false);
        if (stop is { } id)
            _answers.Ok(id, null);
        return ExitCode.Stopped;
    }

    private void WriteSelf(Utf8JsonWriter json)
    {
        json.WriteString("id", _client.Id.ToString());
        json.WriteString("server", _client.Server?.Name);
    }

    private async Task<AnswerFields?> SendAsync(CommandFields command, CancellationToken ct)
    {
        (GroupLane lane, Order order, Payload payload, int count) = (_lanes.Of(command.Name("group")), command.Order(), command.Payload(), command.Count());
        Task<MessageId>[] calls;
        using (await lane.TakeTurnAsync(ct).ConfigureAwait(false))
        {
            byte[] body = payload.ToBody();
            calls = [.. Enumerable.Range(0, count).Select(_ => _client.SendAsync(lane.Name, order, body, ct).AsTask())];
        }

        MessageId[] ids = await Task.WhenAll(calls).ConfigureAwait(false);
        return json => json.WriteStrings("ids", ids.Select(id => id.ToString()));
    }

    private async Task<AnswerFields?> RequestAsync(CommandFields command, CancellationToken ct)
    {
        (GroupLane lane, Order order, Payload payload, Replies replies, EntryAddress? entry) =
            (_lanes.Of(command.Name("group")), command.Order(), command.Payload(), command.Replies(), command.Entry());
        Task<GroupReplies> call;
        using (await lane.TakeTurnAsync(ct).ConfigureAwait(false))
        {
            byte[] body = payload.ToBody();
            call = entry is { } point
                ? _client.RequestEntryAsync(lane.Name, point, order, body, replies, timeout: null, ct).AsTask()
                : _client.RequestAsync(lane.Name, order, body, replies, timeout: null, ct).AsTask();
        }

        GroupReplies result = await call.ConfigureAwait(false);
        return json => json.WriteReplies(result);
    }

    private async Task<AnswerFields?> GroupsAsync(CommandFields command, CancellationToken ct)
    {
        IReadOnlyList<string> names = await _client.ListGroupsAsync(command.Has("prefix") ? command.Text("prefix") : "", ct).ConfigureAwait(false);
        return json => json.WriteStrings("names", names.Where(n => n != RecoveryManager.GroupName));
    }

    private async Task<AnswerFields?> FindAsync(CommandFields command, CancellationToken ct) =>
        DirectoryOperations.Found(command.Name("group"), await _client.FindGroupAsync(command.Name("group"), ct).ConfigureAwait(false));

    private async Task<AnswerFields?> DeleteAsync(CommandFields command, CancellationToken ct)
    {
        await _client.DeleteGroupAsync(command.Name("group"), ct).ConfigureAwait(false);
        return null;
    }

    private async Task<AnswerFields?> KillAsync(CommandFields command, CancellationToken ct)
    {
        await _client.KillAsync(command.Name("group"), command.Has("text") ? command.Text("text") : "", ct).ConfigureAwait(false);
        return null;
    }
}

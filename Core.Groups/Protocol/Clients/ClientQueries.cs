// What clients ask about groups, at the node that serves them: look-up, list, delete.
// Keeps: a client has a bounded number of questions open; those of a connection that has ended are given up, for the client asks again.
// Follows: protocol.md section 7.
using System.Collections.Immutable;
using Core.Groups.Protocol.Groups;
using Core.Groups.Wire;

namespace Core.Groups.Protocol.Clients;

internal sealed class ClientQueries(NodeContext context, GroupQueries queries)
{
    /// <summary>Questions from this number on are those of clients.</summary>
    private const long FirstQuery = ClientSessions.FirstCall << 1;
    private const int MostOpen = 64;
    /// <summary>The names of a list are sent in records of about so many bytes.</summary>
    private const int NamesBytes = 16 << 10;

    private readonly Dictionary<long, (int Connection, long Number)> _open = [];
    private readonly WireWriter _writer = new();
    private long _last = FirstQuery;

    public void Ask(int connection, ClientQuestion question)
    {
        if (_open.Values.Count(o => o.Connection == connection) >= MostOpen) throw new WireFormatException("it has more questions open than it may.");
        long call = ++_last;
        _open.Add(call, (connection, question.Number));
        switch (question.Kind)
        {
            case ClientQuestionKind.Find: queries.Find(call, question.Text); break;
            case ClientQuestionKind.List: queries.List(call, question.Text); break;
            default: queries.Delete(call, question.Text); break;
        }
    }

    public void OnDisconnected(int connection)
    {
        foreach (long call in _open.Where(o => o.Value.Connection == connection).Select(o => o.Key).ToArray())
        {
            _open.Remove(call);
            queries.Cancel(call);
        }
    }

    public void OnEnded(long call, Outcome outcome, GroupInfo? group, ImmutableArray<string> names)
    {
        if (!_open.Remove(call, out var asked)) return;
        var part = ImmutableArray.CreateBuilder<string>();
        int bytes = 0;
        foreach (string name in names)
        {
            part.Add(name);
            bytes += 3 * name.Length;
            if (bytes < NamesBytes) continue;
            Send(asked.Connection, new ClientAnswer(asked.Number, IsLast: false, outcome, null, part.ToImmutable()));
            part.Clear();
            bytes = 0;
        }
        Send(asked.Connection, new ClientAnswer(asked.Number, IsLast: true, outcome, group, part.ToImmutable()));
    }

    private void Send(int connection, ClientAnswer answer)
    {
        _writer.Reset();
        answer.Write(_writer);
        context.Effects.Transmit(connection, _writer.Written);
    }
}

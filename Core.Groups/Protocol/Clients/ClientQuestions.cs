// The questions of a client about groups that have no answer yet.
// Keeps: each has one answer; those that are open are asked again of the next node.

namespace Core.Groups.Protocol.Clients;

internal sealed class ClientQuestions(IClientEffects effects)
{
    private readonly SortedDictionary<long, Open> _open = [];

    private sealed class Open(ClientQuestion question)
    {
        public ClientQuestion Question => question;
        public List<string> Names { get; } = [];
    }

    public bool Any => _open.Count > 0;

    public ClientQuestion Begin(long call, ClientQuestionKind kind, string text)
    {
        var question = new ClientQuestion(call, kind, text);
        _open.Add(call, new Open(question));
        return question;
    }

    /// <summary>What is to be asked of a node that begins to serve the client.</summary>
    public IEnumerable<ClientQuestion> AskAgain()
    {
        foreach (Open open in _open.Values)
        {
            open.Names.Clear();
            yield return open.Question;
        }
    }

    public void OnAnswer(ClientAnswer answer)
    {
        if (!_open.TryGetValue(answer.Number, out Open? open)) return;
        open.Names.AddRange(answer.Names);
        if (!answer.IsLast) return;
        _open.Remove(answer.Number);
        effects.Answered(answer.Number, answer.Outcome, answer.Group, open.Names);
    }

    /// <summary>True: it was open.</summary>
    public bool End(long call, Outcome outcome)
    {
        if (!_open.Remove(call)) return false;
        effects.Answered(call, outcome, null, []);
        return true;
    }

    public void EndAll(Outcome outcome)
    {
        foreach (long call in _open.Keys.ToArray()) End(call, outcome);
    }
}

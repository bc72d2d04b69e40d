// What this member has answered to clients, as long as they may ask again: a client whose node failed sends its request once
// more through another, and what was delivered once is answered once more, not handled once more.
// Keeps: no more than what its client has not confirmed; a member that never saw a request says so.
using Core.Groups.Protocol.Ordering;

namespace Core.Groups.Protocol.Groups;

internal sealed class ClientAnswers
{
    private readonly Dictionary<(GroupId Group, CallerSource Source), SortedDictionary<long, Answer>> _answers = [];

    /// <summary>An answer, or the token of the request while there is none.</summary>
    internal readonly record struct Answer(long Token, ReadOnlyMemory<byte> Body, bool IsError);

    /// <summary>How many are kept.</summary>
    public int Count => _answers.Values.Sum(a => a.Count);

    /// <summary>The application has the request, under a token.</summary>
    public void Open(GroupId group, CallerStamp stamp, long token)
    {
        if (!_answers.TryGetValue((group, stamp.Source), out SortedDictionary<long, Answer>? answers)) _answers.Add((group, stamp.Source), answers = []);
        answers[stamp.Sequence] = new Answer(token, default, false);
    }

    /// <summary>The application has answered.</summary>
    public void Give(GroupId group, CallerStamp stamp, ReadOnlyMemory<byte> body, bool isError)
    {
        // Not kept if the client has confirmed that it needs none.
        if (_answers.TryGetValue((group, stamp.Source), out SortedDictionary<long, Answer>? answers) && answers.ContainsKey(stamp.Sequence))
            answers[stamp.Sequence] = new Answer(0, body, isError);
    }

    /// <summary>The application will not answer.</summary>
    public void Withhold(GroupId group, CallerStamp stamp)
    {
        if (_answers.TryGetValue((group, stamp.Source), out SortedDictionary<long, Answer>? answers)) answers.Remove(stamp.Sequence);
    }

    public Answer? Find(GroupId group, CallerStamp stamp) =>
        _answers.TryGetValue((group, stamp.Source), out SortedDictionary<long, Answer>? answers) && answers.TryGetValue(stamp.Sequence, out Answer answer) ? answer : null;

    /// <summary>The client says what it needs no answers of any more.</summary>
    public void Confirm(GroupId group, CallerStamp stamp)
    {
        if (!_answers.TryGetValue((group, stamp.Source), out SortedDictionary<long, Answer>? answers)) return;
        while (answers.Count > 0 && (stamp.IsOver || answers.First().Key <= stamp.ConfirmedUpTo)) answers.Remove(answers.First().Key);
        if (answers.Count == 0) _answers.Remove((group, stamp.Source));
    }

    public void Forget(GroupId group, IEnumerable<CallerSource> sources)
    {
        foreach (CallerSource source in sources) _answers.Remove((group, source));
    }

    /// <summary>A group has another id from now on.</summary>
    public void Rename(GroupId before, GroupId after)
    {
        foreach (var key in _answers.Keys.Where(k => k.Group == before).ToArray())
        {
            _answers.Remove(key, out SortedDictionary<long, Answer>? answers);
            _answers[(after, key.Source)] = answers!;
        }
    }

    public void OnLeft(GroupId group)
    {
        foreach (var key in _answers.Keys.Where(k => k.Group == group).ToArray()) _answers.Remove(key);
    }
}

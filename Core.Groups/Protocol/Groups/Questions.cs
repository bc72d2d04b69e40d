// Questions of this node that a failure may swallow: joins, look-ups and deletions, watches.
// Keeps: what has not ended is asked again, when its time has come and in each new configuration, in the order of the keys.
// Follows: protocol.md section 7.
namespace Core.Groups.Protocol.Groups;

internal abstract class Question(long call)
{
    public long Call => call;
    /// <summary>When it is asked again; null: it is on its way.</summary>
    public TimeSpan? RetryAt { get; set; }
}

internal abstract class Questions<TKey, TQuestion>(NodeContext context, IComparer<TKey>? order = null)
    where TKey : notnull
    where TQuestion : Question
{
    private static readonly TimeSpan RetryDelay = TimeSpan.FromMilliseconds(10);
    /// <summary>Nothing is asked again before: most of thousands of questions are on their way.</summary>
    private TimeSpan _nextRetry = TimeSpan.MaxValue;

    protected NodeContext Context => context;

    /// <summary>Those that have not ended.</summary>
    protected SortedDictionary<TKey, TQuestion> Open { get; } = new(order);

    /// <summary>Sends the question.</summary>
    protected abstract void Ask(TQuestion question);

    protected void Begin(TKey key, TQuestion question)
    {
        Open.Add(key, question);
        if (context.IsWorking) AskNow(question);
    }

    protected void AskLater(TQuestion question) => AskAt(question, context.Now + RetryDelay);

    protected void AskAt(TQuestion question, TimeSpan time)
    {
        question.RetryAt = time;
        if (time < _nextRetry) _nextRetry = time;
    }

    /// <summary>A new configuration: the answers to what was asked in the one before do not come.</summary>
    protected void AskAll()
    {
        foreach (TQuestion question in Open.Values.ToArray()) AskNow(question);
    }

    private void AskNow(TQuestion question)
    {
        question.RetryAt = null;
        Ask(question);
    }

    /// <summary>Gives all of them up; returns their calls.</summary>
    public IEnumerable<long> EndAll()
    {
        long[] calls = [.. Open.Values.Select(q => q.Call)];
        Open.Clear();
        return calls;
    }

    public void Tick()
    {
        if (context.Now < _nextRetry || !context.IsWorking) return;
        _nextRetry = TimeSpan.MaxValue;
        foreach (TQuestion question in Open.Values.Where(static q => q.RetryAt is not null).ToArray())
        {
            if (question.RetryAt > context.Now) AskAt(question, question.RetryAt.Value);
            else AskNow(question);
        }
    }

    public TimeSpan Deadline() => context.IsWorking ? _nextRetry : TimeSpan.MaxValue;
}

// A cohort whose executions take as long as chance wants, under crashes and joins; and the judge of its histories.
using Core.Groups;
using Core.Groups.Replication;
using Toolkit.CoordinatorCohort;
using Toolkit.CoordinatorCohort.Replication;
using Toolkit.Tests.HandFed;

namespace Toolkit.Tests.CoordinatorCohort;

/// <summary>What a run has shown.</summary>
internal sealed record CohortHistory
{
    public List<(ExecutionId Id, string Result)> Answered { get; } = [];
    public Dictionary<string, List<(ExecutionId Id, string Result)>> Applied { get; } = [];
    public List<(ExecutionId Id, int Part, NodeId By, int Attempt)> Executed { get; } = [];

    /// <summary>The property that is broken, or null.</summary>
    /// <param name="asked">The requests, with what their result must be.</param>
    /// <param name="survivors">The members that were there from the beginning to the end.</param>
    public string? Judge(IReadOnlyDictionary<ExecutionId, string> asked, IEnumerable<string> survivors)
    {
        foreach ((ExecutionId id, string expected) in asked)
        {
            string[] seen = [.. Answered.Where(a => a.Id == id).Select(a => a.Result)];
            if (seen.Length != 1)
                return $"{id} was answered {seen.Length} times";
            if (seen[0] != expected)
                return $"{id} was answered '{seen[0]}', not '{expected}'";
        }

        foreach (string member in survivors)
        {
            List<(ExecutionId Id, string Result)> applied = Applied.GetValueOrDefault(member) ?? [];
            if (applied.Select(a => a.Id).Distinct().Count() != applied.Count)
                return $"{member} applied a result twice";
            if (asked.Keys.FirstOrDefault(id => !applied.Any(a => a.Id == id)) is { Sequence: > 0 } missing)
                return $"{member} never applied {missing}";
        }

        foreach (var attempts in Executed.GroupBy(e => (e.Id, e.Part)))
        {
            if (attempts.Select(a => a.Attempt).Distinct().Count() != attempts.Count())
                return $"{attempts.Key} was executed twice at one attempt";
        }

        return null;
    }
}

/// <summary>One member's side: executions wait until the world lets them end.</summary>
internal sealed class CohortBench(CohortWorld world, string name) : ICohortEffects
{
    public CohortReplica? Replica { get; set; }
    public List<Assignment> Running { get; } = [];
    public HashSet<ExecutionId> Interrupted { get; } = [];
    public HashSet<(long, int)> Stopped { get; } = [];
    public List<string> Progress { get; } = [];

    public void Execute(in Assignment assignment)
    {
        Running.Add(assignment);
        world.History.Executed.Add((assignment.Id, assignment.Part, default, assignment.Attempt));
    }

    public void Stop(long number, int part, int attempt) => Stopped.Add((number, part));

    public void Applied(ExecutionRecord record)
    {
        if (!world.History.Applied.TryGetValue(name, out var applied))
            world.History.Applied.Add(name, applied = []);
        applied.Add((record.Id, CohortWorld.ResultOf(record.ToReply())));
    }

    public void Completed(ExecutionId call, CohortReply reply) => world.OnAnswer(call, reply);

    public void Progressed(ExecutionId call, ReadOnlyMemory<byte> progress) => Progress.Add(System.Text.Encoding.UTF8.GetString(progress.Span));

    public void Ended(ExecutionId call, MembershipEnd end) => Interrupted.Add(call);

    public ReadOnlyMemory<byte> SaveState() => default;

    public void LoadState(ReadOnlyMemory<byte>? state) { }
}

/// <summary>The group, its callers inside and outside.</summary>
internal sealed class CohortWorld
{
    public static readonly NodeId Outside = new("outside", 1);

    private readonly CohortSettings _settings;
    private readonly Dictionary<HandFedMember<CohortReplica>, CohortBench> _benches = [];
    private long _lastId;

    public CohortWorld(CoordinatorRule? rule = null, int results = 1000) => _settings = new(rule ?? CoordinatorRule.Hash, results, TimeSpan.FromMinutes(5));

    public HandFedGroup<CohortReplica> Group { get; } = new();
    public CohortHistory History { get; } = new();
    public Dictionary<ExecutionId, string> Asked { get; } = [];
    public Dictionary<ExecutionId, Execution> Kinds { get; } = [];
    public List<ExecutionId> Unanswered => [.. Asked.Keys.Where(id => !History.Answered.Any(a => a.Id == id))];

    public static string ResultOf(CohortReply reply) =>
        string.Join('+', reply.Answers.Select(a => System.Text.Encoding.UTF8.GetString(a.Body.Span)).Distinct().Order());

    public HandFedMember<CohortReplica> Join(string name, Action? beforeState = null)
    {
        var bench = new CohortBench(this, name);
        HandFedMember<CohortReplica> member = Group.Join(name, () => new CohortReplica(_settings, bench), beforeState);
        member.Replied = (token, body, isError) => OnReply(body, isError);
        bench.Replica = member.Replica;
        _benches.Add(member, bench);
        return member;
    }

    public CohortBench BenchOf(HandFedMember<CohortReplica> member) => _benches[member];

    public ExecutionId Ask(HandFedMember<CohortReplica>? caller, string text, Execution execution = Execution.Coordinator, Collation collation = Collation.First)
    {
        var id = new ExecutionId(caller?.Id ?? Outside, ++_lastId);
        Asked.Add(id, text.ToUpperInvariant());
        Kinds.Add(id, execution);
        AskAgain(caller, id, text, execution, collation);
        return id;
    }

    public void AskAgain(HandFedMember<CohortReplica>? caller, ExecutionId id, string text, Execution execution = Execution.Coordinator, Collation collation = Collation.First)
    {
        byte[] request = System.Text.Encoding.UTF8.GetBytes(text);
        if (caller is not null)
            caller.Replica.Submit(id, execution, collation, request);
        else
            Group.Request(Outside, CohortFormat.Request(new BodyWriter(), id, execution, collation, request), CohortFormat.RequestOrder);
    }

    /// <summary>Lets an execution end.</summary>
    public void Finish(HandFedMember<CohortReplica> member, int index, AnswerKind kind = AnswerKind.Result)
    {
        Assignment done = BenchOf(member).Running[index];
        BenchOf(member).Running.RemoveAt(index);
        byte[] result = System.Text.Encoding.UTF8.GetBytes(System.Text.Encoding.UTF8.GetString(done.Request.Span).ToUpperInvariant());
        member.Replica.Finish(done.Number, done.Part, done.Attempt, kind, result);
    }

    public bool FinishAny(Func<int, int> choose)
    {
        HandFedMember<CohortReplica>[] busy = [.. Group.Members.Where(m => BenchOf(m).Running.Count > 0)];
        if (busy.Length == 0)
            return false;
        HandFedMember<CohortReplica> member = busy[choose(busy.Length)];
        Finish(member, choose(BenchOf(member).Running.Count));
        return true;
    }

    public void OnAnswer(ExecutionId id, CohortReply reply) => History.Answered.Add((id, ResultOf(reply)));

    // A caller takes the first answer; which request a token was of, the answer itself does not say: the text does.
    private void OnReply(byte[]? body, bool isError)
    {
        if (body is null || isError)
            return;
        string result = ResultOf(CohortFormat.ReadReply(body));
        ExecutionId id = Asked.FirstOrDefault(a => a.Key.Caller == Outside && a.Value == result).Key;
        if (id.Sequence > 0 && !History.Answered.Any(a => a.Id == id))
            OnAnswer(id, CohortFormat.ReadReply(body));
    }

    public string DigestOf(HandFedMember<CohortReplica> member)
    {
        var body = new BodyWriter();
        foreach (ExecutionRecord record in member.Replica.Finished)
            CohortFormat.WriteRecord(body, record);
        return Convert.ToHexString(body.Written);
    }
}

// The requests that a group remembers: open ones, and finished ones for callers that ask again.
// Keeps: what is forgotten is forgotten by all at one place, and never executed again: of each caller the highest forgotten
// sequence stays (for the last callers), and a repetition below it is answered so.
using Core.Groups;
using Core.Groups.Replication;

namespace Toolkit.CoordinatorCohort.Replication;

/// <summary>All records of one member.</summary>
internal sealed class CohortMemory
{
    /// <summary>Of so many callers it is known what was forgotten.</summary>
    public const int Callers = 4096;

    private readonly Dictionary<long, ExecutionRecord> _byNumber = [];
    private readonly Dictionary<ExecutionId, ExecutionRecord> _byId = [];
    private readonly Dictionary<NodeId, Floor> _floors = [];
    private long _lastNumber;

    private readonly record struct Floor(long Sequence, long At);

    public IEnumerable<ExecutionRecord> InOrder => _byNumber.Values.OrderBy(r => r.Number);

    public int Count => _byNumber.Count;

    public long NextNumber() => ++_lastNumber;

    public ExecutionRecord? Find(long number) => _byNumber.GetValueOrDefault(number);

    public ExecutionRecord? Find(ExecutionId id) => _byId.GetValueOrDefault(id);

    public bool IsForgotten(ExecutionId id) => _floors.TryGetValue(id.Caller, out Floor floor) && id.Sequence <= floor.Sequence;

    public void Add(ExecutionRecord record)
    {
        _byNumber.Add(record.Number, record);
        _byId.Add(record.Id, record);
    }

    public void Forget(long number)
    {
        if (Find(number) is not { IsComplete: true } record)
            return;
        _byNumber.Remove(number);
        _byId.Remove(record.Id);
        long highest = Math.Max(record.Id.Sequence, _floors.GetValueOrDefault(record.Id.Caller).Sequence);
        _floors[record.Id.Caller] = new Floor(highest, record.Number);
        if (_floors.Count > 2 * Callers)
        {
            foreach (NodeId old in _floors.OrderBy(f => f.Value.At).ThenBy(f => f.Key).Take(_floors.Count - Callers).Select(f => f.Key).ToArray())
                _floors.Remove(old);
        }
    }

    public void Clear()
    {
        _byNumber.Clear();
        _byId.Clear();
        _floors.Clear();
        _lastNumber = 0;
    }

    public void Write(BodyWriter body)
    {
        body.Varint(_lastNumber);
        body.Varint(_floors.Count);
        foreach ((NodeId caller, Floor floor) in _floors.OrderBy(f => f.Key))
        {
            body.Node(caller);
            body.Varint(floor.Sequence);
            body.Varint(floor.At);
        }

        body.Varint(_byNumber.Count);
        foreach (ExecutionRecord record in InOrder)
            CohortFormat.WriteRecord(body, record);
    }

    public void Read(ref BodyReader reader)
    {
        Clear();
        _lastNumber = reader.Varint();
        for (int left = reader.Count(); left > 0; left--)
            _floors.Add(reader.Node(), new Floor(reader.Varint(), reader.Varint()));
        for (int left = reader.Count(); left > 0; left--)
            Add(CohortFormat.ReadRecord(ref reader));
    }
}

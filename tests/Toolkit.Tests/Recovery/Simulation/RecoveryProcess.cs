// One process of a simulated site: the journal and the table that run in production, between a simulated group and a simulated disk.
using System.Buffers.Binary;
using System.Collections.Immutable;
using Core.Groups;
using Core.Groups.Replication;
using Toolkit.Recovery;
using Toolkit.Recovery.Decision;
using Toolkit.Recovery.Logs;

namespace Toolkit.Tests.Recovery.Simulation;

/// <summary>A state on its way to a joiner.</summary>
/// <param name="Bytes">What the donor's journal made of it.</param>
/// <param name="Cut">The index of the event after which it was taken: a view.</param>
internal sealed record StateOffer(ReadOnlyMemory<byte> Bytes, int Cut);

/// <summary>The process. The world lets it take steps; each step runs until it waits for the disk, or for another step.</summary>
internal sealed class RecoveryProcess : IJournaledMember
{
    private readonly RecoveryWorld _world;
    private readonly GroupLog _log;
    private GroupJournal? _journal;
    private Task _handling = Task.CompletedTask;
    private Task _writing = Task.CompletedTask;
    private MemberPhase _phase;
    private long _attempt;
    private List<int> _ledger = [];
    private List<int> _unasked = [];

    public RecoveryProcess(RecoveryWorld world, NodeId id, SimulatedPlatter platter)
    {
        (_world, Id) = (world, id);
        Store = new SimulatedStore(platter);
        _log = GroupLog.OpenAsync(Store, RecoveryWorld.Group).AsTask().GetAwaiter().GetResult();
        Catalogue = platter.Values.GetValueOrDefault(LogNames.Catalogue) ?? TableFormat.EncodeCatalogue(0, []);
    }

    public NodeId Id { get; }

    public SimulatedStore Store { get; }

    public ReadOnlyMemory<byte> Catalogue { get; private set; }

    /// <summary>The table, once the managers have taken this one in.</summary>
    public RecoveryTable? Table { get; set; }

    public int ManagerCursor { get; set; }

    /// <summary>What it has sent to the managers, and has no place yet.</summary>
    public Queue<Action<RecoveryTable>> ToManagers { get; } = [];

    /// <summary>What it has sent to the group, and has no place yet.</summary>
    public Queue<Action<GroupRun>> ToGroup { get; } = [];

    /// <summary>The group that it is in, or on its way into.</summary>
    public GroupRun? Run { get; private set; }

    public int GroupCursor { get; private set; }

    public bool HasState { get; private set; }

    public List<StateOffer> Offers { get; } = [];

    public IReadOnlyList<int> Ledger => _ledger;

    public bool IsIdle => _handling.IsCompleted && _writing.IsCompleted;

    public bool IsHandling => !_handling.IsCompleted;

    public MemberPhase Phase => _phase;

    // ---- the managers

    public void Introduce()
    {
        ReadOnlyMemory<byte> catalogue = Catalogue;
        ulong store = Store.Id;
        Declaration own = Describe();
        int seeds = _world.Seeds;
        ToManagers.Enqueue(table =>
        {
            var reader = new BodyReader(catalogue);
            (long version, CatalogueEntry[] entries) = TableFormat.ReadCatalogue(ref reader);
            table.Introduce(Id, new ManagerEntry(store, IsElector: true, seeds), version, entries, [own]);
        });
    }

    /// <summary>Wants to join, from now on.</summary>
    public void Want() => Stand(MemberPhase.Waiting, ++_attempt);

    /// <summary>What the face of the manager does when the table has changed.</summary>
    public void OnTableChanged()
    {
        if (_writing.IsCompleted && Table!.Managers.TryGetValue(Id, out ManagerEntry? self) && self.Stored < Table.Version)
        {
            _writing = WriteAsync(Table.Version, TableFormat.EncodeCatalogue(Table.Version, Table.Catalogue));
        }

        if (_phase == MemberPhase.Waiting && Run is null && _world.TicketOf(this, _attempt) is { } ticket) Join(ticket);
    }

    // ---- the group

    /// <summary>Handles the next event, or takes a state.</summary>
    public bool Step(IReadOnlyList<GroupEvent> events)
    {
        bool isFirst = GroupCursor < events.Count && events[GroupCursor].View?.Joined.Contains(Id) == true;
        if (!HasState && !isFirst) return TakeOffer(events);
        GroupEvent next = events[GroupCursor++];
        _handling = HandleAsync(next, isFirst);
        return true;
    }

    public void SendUpdate(int update)
    {
        _unasked.Add(update);
        ToGroup.Enqueue(run => run.Update(Id, update));
    }

    public void Flush()
    {
        var barrier = new SimulatedBarrier([.. _unasked]);
        _unasked = [];
        _world.Barriers.Add(barrier);
        ToGroup.Enqueue(run => run.Ask(Id, barrier));
    }

    /// <summary>Gives up the membership, and asks anew.</summary>
    public void Leave()
    {
        (Run, HasState, GroupCursor) = (null, false, 0);
        Offers.Clear();
        ToGroup.Clear();
        Want();
    }

    // ---- the application

    public ValueTask<ReadOnlyMemory<byte>> SaveAsync() => ValueTask.FromResult<ReadOnlyMemory<byte>>(Save());

    public ValueTask LoadAsync(ReadOnlyMemory<byte>? state)
    {
        _ledger = [];
        for (int at = 0; state is { } bytes && at < bytes.Length; at += sizeof(int)) _ledger.Add(BinaryPrimitives.ReadInt32LittleEndian(bytes.Span[at..]));
        return default;
    }

    public ValueTask ShowAsync(View view) => default;

    public ValueTask ReplayAsync(JournalMessage message, View view)
    {
        _ledger.Add(BinaryPrimitives.ReadInt32LittleEndian(message.Body.Span));
        return default;
    }

    private byte[] Save()
    {
        byte[] state = new byte[_ledger.Count * sizeof(int)];
        for (int i = 0; i < _ledger.Count; i++) BinaryPrimitives.WriteInt32LittleEndian(state.AsSpan(i * sizeof(int)), _ledger[i]);
        return state;
    }

    private async Task WriteAsync(long version, byte[] catalogue)
    {
        await Store.WriteAsync(LogNames.Catalogue, catalogue);
        Catalogue = catalogue;
        ToManagers.Enqueue(table => table.Stored(Id, version));
    }

    private void Stand(MemberPhase phase, long attempt)
    {
        _phase = phase;
        Declaration declaration = Describe() with { Attempt = attempt };
        ToManagers.Enqueue(table => table.Declare(Id, declaration));
    }

    private Declaration Describe()
    {
        LogReport? report = _phase is MemberPhase.Idle or MemberPhase.Waiting && _log.Place is { } place
            ? new LogReport(place.Point, [.. place.View.Members.Select(m => m.Name)]) : null;
        return new Declaration(RecoveryWorld.Group, _phase, _attempt, CleansUp: false, report);
    }

    private void Join(Ticket ticket)
    {
        LogPoint end = _log.Place?.Point ?? default;
        _journal = new GroupJournal(Id.Name, _log, new LoggedGroupOptions { CheckpointAfter = 4096 }, ticket, _ => _world.OnRestored(this, end), OnMember);
        Run = _world.Enter(this);
        GroupCursor = Run.Events.Count - 1;
    }

    private void OnMember()
    {
        HasState = true;
        Stand(MemberPhase.Active, 0);
    }

    private async Task HandleAsync(GroupEvent next, bool isFirst)
    {
        if (next.View is { } view)
        {
            ValueTask logged = _journal!.OnViewAsync(view);
            if (_world.Weakness == Weakness.StateBeforeView && HasState) Offer(view);
            await logged;
            if (HasState)
            {
                _world.OnLogged(_log.Place!.View);
                Offer(view);
            }

            if (isFirst && view.Number == 1) await BeginAsync();
        }
        else if (next.Barrier is { } barrier)
        {
            if (_world.Weakness == Weakness.AnsweredBeforeSynced) barrier.Answer(Id);
            await _journal!.OnQuestionAsync(default, GroupJournal.Ask(GroupJournal.Barrier), (_, problem) =>
            {
                if (problem is null) barrier.Answer(Id);
            });
        }
        else
        {
            byte[] body = new byte[sizeof(int)];
            BinaryPrimitives.WriteInt32LittleEndian(body, next.Update);
            await _journal!.OnMessageAsync(new JournalMessage(next.From, Order.Total, new MessageId(next.From, 1, next.Update), body, IsRequest: false));
            _ledger.Add(next.Update);
        }
    }

    private async Task BeginAsync()
    {
        try
        {
            await _journal!.LoadAsync(null, this);
            _world.OnLogged(_log.Place!.View);
        }
        catch (InvalidOperationException)
        {
            _world.Refuse(this);
        }
    }

    private void Offer(View view)
    {
        int cut = GroupCursor - 1;
        byte[] state = Save();
        foreach (RecoveryProcess joiner in _world.Joiners(Run!, view)) joiner.Offers.Add(new StateOffer(_journal!.Wrap(state), cut));
    }

    private bool TakeOffer(IReadOnlyList<GroupEvent> events)
    {
        // A state that was cut before this member's first view misses nothing only from there on.
        StateOffer? offer = Offers.FirstOrDefault(o => o.Cut >= GroupCursor - 1);
        if (offer is null) return false;
        Offers.Clear();
        _handling = TakeAsync(offer, [.. events.Skip(GroupCursor).Take(offer.Cut + 1 - GroupCursor).Where(e => e.View is not null).Select(e => e.View!)]);
        GroupCursor = offer.Cut + 1;
        return true;
    }

    private async Task TakeAsync(StateOffer offer, ImmutableArray<View> between)
    {
        foreach (View view in between) await _journal!.OnViewAsync(view);
        await _journal!.LoadAsync(offer.Bytes, this);
        _world.OnLogged(_log.Place!.View);
    }
}

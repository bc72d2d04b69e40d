// One process's part in one logged group: the journal and the log that run in production, between a simulated group and a simulated disk.
using System.Buffers.Binary;
using System.Collections.Immutable;
using Core.Groups;
using Toolkit.Recovery;
using Toolkit.Recovery.Decision;
using Toolkit.Recovery.Logs;

namespace Toolkit.Tests.Recovery.Simulation;

/// <summary>A state on its way to a joiner.</summary>
/// <param name="Pieces">What the donor's journal made of it.</param>
/// <param name="Cut">The index of the event after which it was taken: a view.</param>
/// <param name="Donor">If it dies, what has not come does not come.</param>
internal sealed record StateOffer(ReadOnlyMemory<byte>[] Pieces, int Cut, RecoveryProcess Donor);

/// <summary>The part. The world lets it take steps; each step runs until it waits for the disk, or for another step.</summary>
internal sealed class GroupSide(RecoveryProcess process, GroupWorld group, GroupLog log) : IJournaledMember, IJournalHolder
{
    private const int Padding = 1000; // so that a state is larger than what a log lacks

    private GroupJournal? _journal;
    private Task _handling = Task.CompletedTask;
    private Task _leaving = Task.CompletedTask;
    private MemberPhase _phase;
    private long _attempt;
    private LogPoint _end;
    private List<int> _ledger = [];
    private List<int> _unasked = [];

    public GroupWorld Group => group;

    /// <summary>What it has sent to the group, and has no place yet.</summary>
    public Queue<Action<GroupRun>> ToGroup { get; } = [];

    /// <summary>The group that it is in, or on its way into.</summary>
    public GroupRun? Run { get; private set; }

    public int Cursor { get; private set; }

    public bool HasState { get; private set; }

    public List<StateOffer> Offers { get; } = [];

    public IReadOnlyList<int> Ledger => _ledger;

    public IReadOnlyList<long> Checkpoints => log.Checkpoints;

    public bool IsHandling => !_handling.IsCompleted || !_leaving.IsCompleted;

    /// <summary>Its disk has failed, and it has noticed.</summary>
    public bool HasFailed => _handling.IsFaulted || _leaving.IsFaulted;

    public Exception? Failure => (_handling.Exception ?? _leaving.Exception)?.InnerException;

    public MemberPhase Phase => _phase;

    public string? Repaired => log.Repaired;

    /// <summary>Wants to join, from now on.</summary>
    public void Want() => Stand(MemberPhase.Waiting, ++_attempt);

    public void OnTableChanged()
    {
        if (_phase == MemberPhase.Waiting && Run is null && process.World.TicketOf(process, group.Name, _attempt) is { } ticket) Join(ticket);
    }

    public Declaration Describe()
    {
        LogReport? report = _phase is MemberPhase.Idle or MemberPhase.Waiting && log.Place is { } place
            ? new LogReport(place.Point, [.. place.View.Members.Select(m => m.Name)], log.WantsWhole ? null : log.LastCut) : null;
        return new Declaration(group.Name, _phase, _attempt, CleansUp: false, report);
    }

    // ---- what it sends

    public void SendUpdate(int update)
    {
        _unasked.Add(update);
        ToGroup.Enqueue(run =>
        {
            group.OnPlaced(update, log.Place!.View.Forced);
            run.Update(process.Id, update);
        });
    }

    public void Flush()
    {
        var barrier = new SimulatedQuestion(JournalQuestion.Ask(JournalQuestion.Barrier), [.. _unasked]);
        _unasked = [];
        Ask(barrier);
    }

    public void AskToRollBack(long number)
    {
        KeptCheckpoint kept = log.Place!.Checkpoints.First(c => c.Number == number);
        if (log.Numbered.HasAsync(kept).AsTask().GetAwaiter().GetResult()) Ask(new SimulatedQuestion(JournalQuestion.AskToRollBack(number, (group.Name, kept.Cut))));
    }

    public void Ask(SimulatedQuestion question) => ToGroup.Enqueue(run =>
    {
        run.Ask(process.Id, question);
        group.OnPlaced(question);
    });

    // ---- steps

    /// <summary>Handles the next event, or takes a state.</summary>
    public void Step(IReadOnlyList<GroupEvent> events)
    {
        bool isFirst = Cursor < events.Count && events[Cursor].View?.Joined.Contains(process.Id) == true;
        if (!HasState && !isFirst)
        {
            TakeOffer(events);
            return;
        }

        GroupEvent next = events[Cursor++];
        _handling = GuardAsync(() => HandleAsync(next, isFirst));
    }

    /// <summary>Gives up the membership, and asks anew when its log is on the disk.</summary>
    public void Leave()
    {
        (Run, HasState, Cursor) = (null, false, 0);
        Offers.Clear();
        ToGroup.Clear();
        _phase = MemberPhase.Idle;
        _leaving = WantWhenSyncedAsync();

        async Task WantWhenSyncedAsync()
        {
            await log.WhenSyncedAsync();
            Want();
        }
    }

    // ---- the application

    public ValueTask<StateSnapshot> SaveAsync() => ValueTask.FromResult(new StateSnapshot(new ReadOnlyMemory<byte>[] { Save(), new byte[Padding] }.ToAsyncEnumerable()));

    public async ValueTask LoadAsync(IAsyncEnumerable<ReadOnlyMemory<byte>>? state)
    {
        _ledger = [];
        if (state is null) return;
        var bytes = new List<byte>();
        await foreach (ReadOnlyMemory<byte> piece in state) bytes.AddRange(piece.Span);
        for (int at = 0; at < bytes.Count - Padding; at += sizeof(int)) _ledger.Add(BitConverter.ToInt32([.. bytes[at..(at + sizeof(int))]]));
    }

    public ValueTask ShowAsync(View view) => default;

    public ValueTask ConfigureAsync(ConfigurationEntry entry) => default;

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

    // ---- the journal's holder

    ValueTask<CutPoint?> IJournalHolder.FindCutAsync(NodeId joiner) =>
        ValueTask.FromResult(process.Table?.Groups.GetValueOrDefault(group.Name)?.Members.GetValueOrDefault(joiner)?.Report?.Cut);

    Task IJournalHolder.AskForCutAsync()
    {
        Ask(SimulatedQuestion.Ask(JournalQuestion.Cut));
        return Task.CompletedTask;
    }

    void IJournalHolder.OnMember(StateOrigin origin, long records, StatePlace place)
    {
        if (origin is StateOrigin.Begun or StateOrigin.Log) group.OnRestored(process, this, _end, place.View.Forced);
        if (origin == StateOrigin.LogOfMembers) group.OnCaughtUp(process, records);
        HasState = true;
        Stand(MemberPhase.Active, 0);
    }

    private void Stand(MemberPhase phase, long attempt)
    {
        _phase = phase;
        Declaration declaration = Describe() with { Attempt = attempt };
        process.ToManagers.Enqueue(table => table.Declare(process.Id, declaration));
    }

    private void Join(Ticket ticket)
    {
        _end = log.Place?.Point ?? default;
        _journal = new GroupJournal(process.Id.Name, log, GroupWorld.Options, ticket, this);
        Run = group.Enter(process);
        Cursor = Run.Events.Count - 1;
    }

    // Who cannot take part leaves; a disk that fails ends the process.
    private async Task GuardAsync(Func<Task> act)
    {
        try
        {
            await act();
        }
        catch (InvalidOperationException e)
        {
            process.World.Log.Add($"{process.Id} leaves {group.Name}: {e.Message}");
            group.Refuse(process, this);
        }
    }

    private async Task HandleAsync(GroupEvent next, bool isFirst)
    {
        if (next.View is { } view)
        {
            ValueTask logged = _journal!.OnViewAsync(view);
            if (process.World.Weakness == Weakness.StateBeforeView && HasState) await OfferAsync(view);
            await logged;
            if (HasState)
            {
                group.OnLogged(log.Place!.View);
                await OfferAsync(view);
            }

            if (isFirst && view.Number == 1)
            {
                await _journal!.LoadAsync(null, this);
                group.OnLogged(log.Place!.View);
            }
        }
        else if (next.Question is { } question)
        {
            await AnswerAsync(question);
        }
        else
        {
            byte[] body = new byte[sizeof(int)];
            BinaryPrimitives.WriteInt32LittleEndian(body, next.Update);
            await _journal!.OnMessageAsync(new JournalMessage(next.From, Order.Total, new MessageId(next.From, 1, next.Update), body, IsRequest: false));
            _ledger.Add(next.Update);
        }
    }

    private async Task AnswerAsync(SimulatedQuestion question)
    {
        if (process.World.Weakness == Weakness.AnsweredBeforeSynced) question.Answer(process.Id);
        int[] before = [.. _ledger];
        bool isDone = false;
        await _journal!.OnQuestionAsync(default, question.Body, (_, problem) =>
        {
            isDone = problem is null;
            if (isDone) question.Answer(process.Id);
        });
        if (question.Kind == JournalQuestion.Checkpoint) group.OnKept(process, question, log.Place!.LastCheckpoint, before);
        if (question.Kind == JournalQuestion.Rollback && isDone) group.OnRolledBack(process, question, [.. _ledger], log.Place!.View.Forced);
    }

    private async Task OfferAsync(View view)
    {
        GroupSide[] joiners = [.. group.Joiners(Run!, view)];
        if (joiners.Length == 0) return;
        int cut = Cursor - 1;
        var pieces = new List<ReadOnlyMemory<byte>>();
        await foreach (ReadOnlyMemory<byte> piece in (await _journal!.GiveAsync(this)).Pieces) pieces.Add(piece);
        foreach (GroupSide joiner in joiners) joiner.Offers.Add(new StateOffer([.. pieces], cut, process));
    }

    private void TakeOffer(IReadOnlyList<GroupEvent> events)
    {
        // A state that was cut before this member's first view misses nothing only from there on.
        StateOffer? offer = Offers.FirstOrDefault(o => o.Cut >= Cursor - 1);
        if (offer is null) return;
        Offers.Remove(offer);
        if (offer.Donor.Store.IsDead && process.World.Below(2) == 0)
        {
            _handling = GuardAsync(() => TakeBrokenAsync(offer));
            return;
        }

        Offers.Clear();
        ImmutableArray<View> between = [.. events.Skip(Cursor).Take(offer.Cut + 1 - Cursor).Where(e => e.View is not null).Select(e => e.View!)];
        Cursor = offer.Cut + 1;
        _handling = GuardAsync(() => TakeAsync(offer, between));
    }

    private async Task TakeAsync(StateOffer offer, ImmutableArray<View> between)
    {
        foreach (View view in between) await _journal!.OnViewAsync(view);
        await _journal!.LoadAsync(offer.Pieces.ToAsyncEnumerable(), this);
        group.OnLogged(log.Place!.View);
    }

    // The donor dies while it gives: another one begins anew.
    private async Task TakeBrokenAsync(StateOffer offer)
    {
        try
        {
            await _journal!.LoadAsync(BreakOff(), this);
        }
        catch (OperationCanceledException)
        {
            // The next offer.
        }

        async IAsyncEnumerable<ReadOnlyMemory<byte>> BreakOff()
        {
            await Task.CompletedTask;
            foreach (ReadOnlyMemory<byte> piece in offer.Pieces.Take(process.World.Below(offer.Pieces.Length))) yield return piece;
            throw new OperationCanceledException();
        }
    }
}

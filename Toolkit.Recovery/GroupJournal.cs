// One member's journal of a logged group: writes down what the member is given, and gives it back after a restart.
// Keeps: a view is on the disk before it is used, so also before a joiner in it is given the state; a state from elsewhere is on the
// disk before this member does anything with it; nobody begins the group who was not told to.
// Follows: "Exploiting virtual synchrony", section 3.6.
using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using Core.Groups;
using Toolkit.Recovery.Logs;

namespace Toolkit.Recovery;

/// <summary>What a member was told to do.</summary>
/// <param name="IsRestore">Bring the group back, or begin it; else: join by state transfer.</param>
/// <param name="Origin">What the group is called for ever, if it begins now.</param>
/// <param name="Forced">See <see cref="LogPoint"/>.</param>
/// <param name="Term">The term that begins; 0: the group begins empty.</param>
internal sealed record Ticket(bool IsRestore, ulong Origin, long Forced, long Term);

/// <summary>What a journal asks of the one who holds it.</summary>
internal interface IJournalHolder
{
    /// <summary>The last cut in the log of a node that joins, as the recovery managers know it; null: it has none, or it is not known here.</summary>
    ValueTask<CutPoint?> FindCutAsync(NodeId joiner);

    /// <summary>Has a cut marked at all members (by GBCAST): the log has grown. Ends when that has been done, or has failed.</summary>
    Task AskForCutAsync();

    /// <summary>The member has its state.</summary>
    void OnMember(StateOrigin origin, long records, StatePlace place);
}

/// <summary>The journal. Called by the group's pump.</summary>
internal sealed class GroupJournal(string self, GroupLog log, LoggedGroupOptions options, Ticket told, IJournalHolder holder) : IGroupJournal
{
    private const long MostUnsynced = 16 << 20;

    private View? _view;
    private bool _hasState;
    private IJournaledMember? _member;
    private Ticket? _ticket = told;
    private Task _askingForCut = Task.CompletedTask;
    private ulong _joint; // the last checkpoint that was taken together with other groups

    // ---- what the member is given

    public async ValueTask OnViewAsync(View view)
    {
        // A view that this node joins begins another membership: its state comes first.
        if (_view is null || view.Joined.Any(n => n.Name == self && !_view.Contains(n))) _hasState = false;
        _view = view;
        if (_hasState && view.Number > log.Place!.View.Number)
        {
            await log.AppendViewAsync(Logged(view, log.Place.View)).ConfigureAwait(false);
        }
    }

    public ValueTask OnConfiguredAsync(ConfigurationEntry entry)
    {
        if (_hasState) log.AppendConfiguration(entry);
        return default;
    }

    public ValueTask OnMessageAsync(JournalMessage message)
    {
        log.ThrowIfFailed();
        if (log.Unsynced > MostUnsynced) return AppendWhenSyncedAsync(message);
        log.AppendMessage(message);
        if (log.BytesSinceCheckpoint >= options.CheckpointAfter && _askingForCut.IsCompleted) AskForCut();
        return default;
    }

    public async ValueTask OnQuestionAsync(MessageId id, ReadOnlyMemory<byte> question, Action<ReadOnlyMemory<byte>, string?> answer)
    {
        options.OnAsked?.Invoke(id);
        log.ThrowIfFailed();
        switch (JournalQuestion.KindOf(question))
        {
            case JournalQuestion.Barrier:
                _ = AnswerAsync(log.WhenSyncedAsync(), default, answer);
                break;
            case JournalQuestion.Checkpoint:
                await KeepAsync(question, answer).ConfigureAwait(false);
                break;
            case JournalQuestion.Kept:
                bool isTaken = JournalQuestion.ReadKept(question) == _joint;
                _ = AnswerAsync(isTaken ? log.Numbered.WhenKeptAsync() : Task.FromException(new InvalidOperationException("it was not taken")), default, answer);
                break;
            case JournalQuestion.Cut:
                log.AppendCut();
                if (log.BytesSinceCheckpoint >= options.CheckpointAfter / 2 && !log.IsCheckpointing)
                {
                    log.Checkpoint(await _member!.SaveAsync().ConfigureAwait(false), options.KeepLog);
                }

                answer(default, null);
                break;
            case JournalQuestion.Rollback:
                await RollBackAsync(question, answer).ConfigureAwait(false);
                break;
            default:
                answer(default, "the question to the journal is not known at this member: it has another version");
                break;
        }
    }

    private async ValueTask AppendWhenSyncedAsync(JournalMessage message)
    {
        await log.WhenSyncedAsync().ConfigureAwait(false);
        log.AppendMessage(message);
    }

    // The oldest member first, so that mostly one asks.
    private void AskForCut()
    {
        if (log.BytesSinceCheckpoint < options.CheckpointAfter * (8L + _view!.Members.IndexOf(_view.Members.First(m => m.Name == self))) / 8) return;
        _askingForCut = holder.AskForCutAsync();
    }

    // ---- what joiners are given

    public async ValueTask<StateSnapshot> GiveAsync(IJournaledMember member)
    {
        if (await FindCommonCutAsync().ConfigureAwait(false) is { } cut && log.BytesSince(cut) <= log.StateLength) return Gift.OfRecords(log, cut);
        return Gift.OfState(log.IsAtCut ? log.Place! : log.Place! with { Cut = -1 }, await member.SaveAsync().ConfigureAwait(false));
    }

    // The oldest of the joiners' cuts: each passes over what it has.
    private async ValueTask<LoggedCut?> FindCommonCutAsync()
    {
        LoggedCut? oldest = null;
        foreach (NodeId joiner in _view!.Joined)
        {
            if (await holder.FindCutAsync(joiner).ConfigureAwait(false) is not { } point || log.Find(point) is not { } cut) return null;
            if (oldest is null || cut.Record < oldest.Value.Record) oldest = cut;
        }

        return oldest;
    }

    // ---- how a membership begins

    public async ValueTask LoadAsync(IAsyncEnumerable<ReadOnlyMemory<byte>>? given, IJournaledMember member)
    {
        _member = member;
        Ticket? ticket = _ticket;
        if (given is not null)
        {
            await JoinAsync(given).ConfigureAwait(false);
        }
        else if (ticket is { IsRestore: true })
        {
            await (ticket.Term == 0 ? BeginAsync(ticket) : RestoreAsync(ticket)).ConfigureAwait(false);
        }
        else
        {
            throw new InvalidOperationException("nobody was there who has the group's state; it is asked for again.");
        }
    }

    private async Task BeginAsync(Ticket ticket)
    {
        await _member!.LoadAsync(null).ConfigureAwait(false);
        var view = new LoggedView(ticket.Forced, 0, _view!.Number, _view.Id, _view.Members);
        var place = new StatePlace(ticket.Origin, view, 0, 0, [], ImmutableSortedDictionary.Create<string, string>(StringComparer.Ordinal));
        await log.BeginAsync(place, (await _member.SaveAsync().ConfigureAwait(false)).Pieces).ConfigureAwait(false);
        Become(StateOrigin.Begun, 0);
    }

    private async Task RestoreAsync(Ticket ticket)
    {
        var replay = new Replay(_member!, _view!);
        await log.ReplayAsync(replay).ConfigureAwait(false);
        await log.AppendViewAsync(new LoggedView(ticket.Forced, ticket.Term, _view!.Number, _view.Id, _view.Members)).ConfigureAwait(false);
        await replay.EndAsync().ConfigureAwait(false);
        Become(StateOrigin.Log, replay.Records);
    }

    private async Task JoinAsync(IAsyncEnumerable<ReadOnlyMemory<byte>> given)
    {
        var gift = new GiftReader(given);
        await using ConfiguredAsyncDisposable ending = gift.ConfigureAwait(false);
        byte[] head = await gift.ReadBlockAsync().ConfigureAwait(false) ?? throw new FormatException("A state is empty.");
        (StatePlace place, CutPoint? since) = LogFormat.DecodeGift(head);
        long records = 0;
        if (since is { } cut)
        {
            records = await CatchUpAsync(gift, place, cut).ConfigureAwait(false);
        }
        else
        {
            await log.BeginAsync(place, gift.ReadRestAsync()).ConfigureAwait(false);
            await _member!.LoadAsync(await log.ReadStateAsync().ConfigureAwait(false)).ConfigureAwait(false);
        }

        if (_view!.Number > place.View.Number)
        {
            await log.AppendViewAsync(Logged(_view, place.View)).ConfigureAwait(false);
        }

        Become(since is null ? StateOrigin.Members : StateOrigin.LogOfMembers, records);
    }

    // The own log up to its last cut, and from there on that of the others.
    private async Task<long> CatchUpAsync(GiftReader gift, StatePlace place, CutPoint since)
    {
        if (log.WantsWhole || log.LastCut is not { } own || log.Place!.Origin != place.Origin) throw Misfit("it has no log that this could follow");
        var replay = new Replay(_member!, _view!);
        await log.ReplayAsync(replay, toCut: true).ConfigureAwait(false);
        log.GoBackToCut();
        bool isPast = since == own;
        while (await gift.ReadBlockAsync().ConfigureAwait(false) is { } record)
        {
            if (isPast)
            {
                log.Append(record);
                if (log.Unsynced > MostUnsynced) await log.WhenSyncedAsync().ConfigureAwait(false);
                await replay.OnRecordAsync(record).ConfigureAwait(false);
            }

            since = since.After(record);
            isPast |= since == own;
        }

        await log.WhenSyncedAsync().ConfigureAwait(false);
        if (!isPast || log.Place!.Point != place.Point) throw Misfit($"it ends at {log.Place!.Point}, and the others are at {place.Point}");
        await replay.EndAsync().ConfigureAwait(false);
        return replay.Records;
    }

    private InvalidOperationException Misfit(string why)
    {
        log.WantsWhole = true;
        return new InvalidOperationException($"the others gave this member what its log lacks, and {why}; it asks for the whole state.");
    }

    private void Become(StateOrigin origin, long records)
    {
        (_hasState, _ticket) = (true, null); // the ticket is for the first membership only
        holder.OnMember(origin, records, log.Place!);
    }

    // ---- checkpoints

    private async ValueTask KeepAsync(ReadOnlyMemory<byte> question, Action<ReadOnlyMemory<byte>, string?> answer)
    {
        (long wanted, ulong joint) = JournalQuestion.ReadCheckpoint(question);
        long number = wanted > 0 ? wanted : log.Place!.LastCheckpoint + 1;
        if (number <= log.Place!.LastCheckpoint)
        {
            log.AppendCut();
            answer(default, $"there is a checkpoint {number} already");
            return;
        }

        log.AppendCut(number, options.KeepCheckpoints);
        _joint = joint;
        byte[] told = new byte[sizeof(long)];
        BinaryPrimitives.WriteInt64LittleEndian(told, number);
        _ = AnswerAsync(log.Numbered.KeepAsync(log.Place!, await _member!.SaveAsync().ConfigureAwait(false)), told, answer);
    }

    private async ValueTask RollBackAsync(ReadOnlyMemory<byte> question, Action<ReadOnlyMemory<byte>, string?> answer)
    {
        (long number, CutPoint? cut) = JournalQuestion.ReadRollback(question, log.Group);
        var wanted = new KeptCheckpoint(number, cut ?? default);
        await log.Numbered.WhenKeptAsync().ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (!log.Place!.Checkpoints.Contains(wanted))
        {
            log.AppendCut();
            answer(default, $"checkpoint {number} was discarded; there are {string.Join(", ", log.Checkpoints)}"); // by all who had it: nobody drops out
            return;
        }

        if (!await log.Numbered.HasAsync(wanted).ConfigureAwait(false))
        {
            string problem = $"this member has no checkpoint {number}: it drops out, and joins again with the state of the others";
            answer(default, problem);
            throw new InvalidOperationException(problem);
        }

        await _member!.LoadAsync(await log.Numbered.ReadAsync(number).ConfigureAwait(false)).ConfigureAwait(false);
        await _member.ShowAsync(_view! with { Joined = _view!.Members, Left = [] }).ConfigureAwait(false);
        StatePlace place = log.Place! with { Count = log.Place!.Count + 1, Cut = log.Place.Cut < 0 ? -1 : log.Place.Cut + 1 };
        await log.BeginAsync(place, await log.Numbered.ReadAsync(number).ConfigureAwait(false)).ConfigureAwait(false);
        answer(default, null);
    }

    private static async Task AnswerAsync(Task written, ReadOnlyMemory<byte> told, Action<ReadOnlyMemory<byte>, string?> answer)
    {
        try
        {
            await written.ConfigureAwait(false);
            answer(told, null);
        }
        catch (Exception e)
        {
            answer(default, e.Message);
        }
    }

    private static LoggedView Logged(View view, LoggedView before) => new(before.Forced, before.Term, view.Number, view.Id, view.Members);
}

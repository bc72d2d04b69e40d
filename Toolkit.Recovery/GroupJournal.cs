// One member's journal of a logged group: writes down what the member is given, and gives it back after a restart.
// Keeps: a view is on the disk before it is used, so also before a joiner in it is given the state; a state from elsewhere is on the
// disk before this member does anything with it; nobody begins the group who was not told to.
// Follows: "Exploiting virtual synchrony", section 3.6.
using System.Buffers.Binary;
using System.Collections.Immutable;
using Core.Groups;
using Toolkit.Recovery.Logs;

namespace Toolkit.Recovery;

/// <summary>What a member was told to do.</summary>
/// <param name="IsRestore">Bring the group back, or begin it; else: join by state transfer.</param>
/// <param name="Origin">What the group is called for ever, if it begins now.</param>
/// <param name="Forced">See <see cref="LogPoint"/>.</param>
/// <param name="Term">The term that begins; 0: the group begins empty.</param>
internal sealed record Ticket(bool IsRestore, ulong Origin, long Forced, long Term);

/// <summary>The journal. Called by the group's pump.</summary>
internal sealed class GroupJournal(string self, GroupLog log, LoggedGroupOptions options, Ticket told, Action<long> onRestored, Action onMember) : IGroupJournal
{
    public const byte Barrier = (byte)'B', Checkpoint = (byte)'C', Rollback = (byte)'R';
    private const long MostUnsynced = 16 << 20;

    private View? _view;
    private bool _hasState;
    private IJournaledMember? _member;
    private Ticket? _ticket = told;

    public async ValueTask OnViewAsync(View view)
    {
        if (!view.IsPrimary) throw new InvalidOperationException("a logged group lives in primary components only: leave GroupNodeOptions.Mode at Primary.");

        // A view that this node joins begins another membership: its state comes first.
        if (_view is null || view.Joined.Any(n => n.Name == self && !_view.Contains(n))) _hasState = false;
        _view = view;
        if (_hasState && view.Number > log.Place!.View.Number)
        {
            await log.AppendViewAsync(Logged(view, log.Place.View)).ConfigureAwait(false);
        }
    }

    public ValueTask OnMessageAsync(JournalMessage message)
    {
        if (log.Unsynced > MostUnsynced || (log.BytesSinceCheckpoint >= options.CheckpointAfter && !log.IsCheckpointing))
        {
            return MakeRoomAsync(message);
        }

        log.AppendMessage(message);
        return default;
    }

    public async ValueTask OnQuestionAsync(MessageId id, ReadOnlyMemory<byte> question, Action<ReadOnlyMemory<byte>, string?> answer)
    {
        options.OnAsked?.Invoke(id);
        switch (question.IsEmpty ? (byte)0 : question.Span[0])
        {
            case Barrier:
                _ = AnswerAsync(log.WhenSyncedAsync(), answer);
                break;
            case Checkpoint:
                long number = log.Place!.LastCheckpoint + 1;
                await log.KeepAsync(number, await _member!.SaveAsync().ConfigureAwait(false), options.KeepCheckpoints).ConfigureAwait(false);
                answer(Number(number), null);
                break;
            case Rollback when question.Length == 1 + sizeof(long):
                await RollBackAsync(BinaryPrimitives.ReadInt64LittleEndian(question.Span[1..]), answer).ConfigureAwait(false);
                break;
            default:
                answer(default, "the question to the journal is not known at this member: it has another version");
                break;
        }
    }

    public ReadOnlyMemory<byte> Wrap(ReadOnlyMemory<byte> state) => LogFormat.EncodeState(log.Place!, 0, state);

    public async ValueTask LoadAsync(ReadOnlyMemory<byte>? wrapped, IJournaledMember member)
    {
        _member = member;
        (Ticket? ticket, _ticket) = (_ticket, null); // for the first membership only
        if (wrapped is { } bytes)
        {
            await JoinAsync(bytes, member).ConfigureAwait(false);
        }
        else if (ticket is { IsRestore: true })
        {
            await (ticket.Term == 0 ? BeginAsync(ticket, member) : RestoreAsync(ticket, member)).ConfigureAwait(false);
        }
        else
        {
            throw new InvalidOperationException("nobody was there who has the group's state; it is asked for again.");
        }

        _hasState = true;
        onMember();
    }

    /// <summary>A question.</summary>
    public static ReadOnlyMemory<byte> Ask(byte kind) => new[] { kind };

    /// <summary>A question with a number.</summary>
    public static ReadOnlyMemory<byte> Ask(byte kind, long number) => (byte[])[kind, .. Number(number)];

    private static byte[] Number(long number)
    {
        byte[] bytes = new byte[sizeof(long)];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, number);
        return bytes;
    }

    private static async Task AnswerAsync(Task synced, Action<ReadOnlyMemory<byte>, string?> answer)
    {
        try
        {
            await synced.ConfigureAwait(false);
            answer(default, null);
        }
        catch (Exception e)
        {
            answer(default, e.Message);
        }
    }

    private async ValueTask MakeRoomAsync(JournalMessage message)
    {
        await log.WhenSyncedAsync().ConfigureAwait(false);
        if (log.BytesSinceCheckpoint >= options.CheckpointAfter && !log.IsCheckpointing)
        {
            _ = log.CheckpointAsync(await _member!.SaveAsync().ConfigureAwait(false)); // what fails there fails the next append, too
        }

        log.AppendMessage(message);
    }

    private async Task BeginAsync(Ticket ticket, IJournaledMember member)
    {
        await member.LoadAsync(null).ConfigureAwait(false);
        var view = new LoggedView(ticket.Forced, 0, _view!.Number, _view.Id, _view.Members);
        await log.BeginAsync(new StatePlace(ticket.Origin, view, 0, 0), await member.SaveAsync().ConfigureAwait(false)).ConfigureAwait(false);
        onRestored(0);
    }

    private async Task RestoreAsync(Ticket ticket, IJournaledMember member)
    {
        long count = 0;
        View shown = _view!;
        await log.ReplayAsync(
            async (state, view) =>
            {
                shown = Shown([], view.Number, view.Id, view.Members);
                await member.ShowAsync(shown).ConfigureAwait(false);
                await member.LoadAsync(state).ConfigureAwait(false);
            },
            (message, _) =>
            {
                count++;
                return member.ReplayAsync(message, shown);
            },
            (before, view) => member.ShowAsync(shown = Shown(before.Members, view.Number, view.Id, view.Members))).ConfigureAwait(false);
        await log.AppendViewAsync(new LoggedView(ticket.Forced, ticket.Term, _view!.Number, _view.Id, _view.Members)).ConfigureAwait(false);
        await member.ShowAsync(Shown(shown.Members, _view.Number, _view.Id, _view.Members)).ConfigureAwait(false);
        onRestored(count);
    }

    // A view as the log or the restart makes it follow on another one.
    private View Shown(ImmutableArray<NodeId> before, long number, string id, ImmutableArray<NodeId> members) =>
        new(_view!.Group, _view.GroupName, number, id, members, [.. members.Except(before)], [.. before.Except(members)], IsPrimary: true);

    private async Task JoinAsync(ReadOnlyMemory<byte> wrapped, IJournaledMember member)
    {
        (StatePlace place, _, ReadOnlyMemory<byte>? state) = LogFormat.DecodeState(wrapped);
        await member.LoadAsync(state).ConfigureAwait(false);
        await log.BeginAsync(place, state).ConfigureAwait(false);
        if (_view!.Number > place.View.Number)
        {
            await log.AppendViewAsync(Logged(_view, place.View)).ConfigureAwait(false);
        }
    }

    private async ValueTask RollBackAsync(long number, Action<ReadOnlyMemory<byte>, string?> answer)
    {
        if (!log.Numbered.Contains(number))
        {
            string problem = $"this member has no checkpoint {number}: it drops out, and joins again with the state of the others";
            answer(default, problem);
            throw new InvalidOperationException(problem);
        }

        ReadOnlyMemory<byte>? state = await log.ReadNumberedAsync(number).ConfigureAwait(false);
        await _member!.LoadAsync(state).ConfigureAwait(false);
        await _member.ShowAsync(Shown([], _view!.Number, _view.Id, _view.Members)).ConfigureAwait(false);
        await log.BeginAsync(log.Place! with { Count = log.Place.Count + 1 }, state).ConfigureAwait(false);
        answer(default, null);
    }

    private static LoggedView Logged(View view, LoggedView before) => new(before.Forced, before.Term, view.Number, view.Id, view.Members);
}

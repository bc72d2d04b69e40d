// Work divided by rank ("Exploiting virtual synchrony", 3.2), and handed over without a gap when the members change.
// Keeps: what was some member's to do is at every moment some member's to do: a member acts by the new division and by every
// old one until it is confirmed that all act by the new one. Follows: figure 12 of "The Isis project: a toolkit and META", with
// the list of old divisions that its text asks for.
using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Threading.Channels;
using Core.Groups;

namespace Toolkit.ReplicatedData;

/// <summary>One division of the work: who takes part, by rank. All members compute the same one from a view, without a message.</summary>
/// <param name="View">The view's number.</param>
/// <param name="Members">Those who take part, by rank.</param>
public sealed record WorkDivision(long View, ImmutableArray<NodeId> Members);

/// <summary>
/// Tells a member of a process group which keys are its own. Each key belongs to one member, and to the next in rank should that
/// one be gone while the hand-over is under way; so for a moment two members may hold a key to be theirs, but never none.
/// Safe for any thread.
/// </summary>
/// <typeparam name="TKey">The keys.</typeparam>
public sealed class WorkPartition<TKey>
{
    private static readonly TimeSpan PollPatience = TimeSpan.FromSeconds(10);

    // Bytes, at entry points of their own: the serializer of the node is for the application's types.
    private static readonly EntryAddress Poll = "work-partition.poll", Switch = "work-partition.switch";

    private readonly HandOver<TKey> _handOver;
    private readonly Lock _gate = new(); // guards it: handlers change it, other threads ask it
    private readonly Channel<View> _toConfirm = Channel.CreateUnbounded<View>();
    private volatile ProcessGroup? _group;

    /// <param name="partOf">The part of a key: of a key and the number of parts, 0 up to that number. The same at all members: no hash that differs between processes.</param>
    /// <param name="takesPart">Which members take part; null: all.</param>
    public WorkPartition(Func<TKey, int, int> partOf, Func<NodeId, bool>? takesPart = null)
    {
        ArgumentNullException.ThrowIfNull(partOf);
        _handOver = new HandOver<TKey>(partOf, takesPart ?? (static _ => true));
    }

    /// <summary>
    /// Raised in delivery order when the division has changed, before the first message in the new view: look again at what waits.
    /// Must not wait; what it throws is logged by the group.
    /// </summary>
    public event Action? Changed;

    /// <summary>The newest division; null before the first view.</summary>
    public WorkDivision? Present
    {
        get
        {
            lock (_gate) return _handOver.Present;
        }
    }

    /// <summary>Whether old divisions still count.</summary>
    public bool IsHandingOver
    {
        get
        {
            lock (_gate) return _handOver.IsUnderWay;
        }
    }

    /// <summary>
    /// Puts the partition into the options of a join: its messages go to entry points of its own, and what the options had before is
    /// called as ever (a view's handler after the division has changed).
    /// </summary>
    public GroupOptions AddTo(GroupOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        (Action<ProcessGroup>? configure, Func<View, ValueTask>? onView) = (options.Configure, options.OnView);
        options.Configure = group =>
        {
            _group = group;
            group.OnEntry(Switch, OnSwitch);
            group.OnEntryRequest(Poll, static _ => ValueTask.FromResult<ReadOnlyMemory<byte>>(default)); // who answers acts by the view's division
            configure?.Invoke(group);
        };
        options.OnView = view =>
        {
            OnView(view);
            return onView?.Invoke(view) ?? default;
        };
        return options;
    }

    /// <summary>Confirms hand-overs whenever this member is the oldest that takes part. To be run beside the membership; ends with the token.</summary>
    public async Task RunAsync(CancellationToken ct)
    {
        await foreach (View view in _toConfirm.Reader.ReadAllAsync(ct).ConfigureAwait(false))
            await ConfirmAsync(view, ct).ConfigureAwait(false);
    }

    /// <summary>Whether a key is this member's: now, or until the hand-over is confirmed.</summary>
    public bool IsMine(TKey key)
    {
        if (_group?.Node.Id is not { } self) return false;
        lock (_gate) return _handOver.IsResponsible(self, key);
    }

    /// <summary>Whose a key is by the newest division.</summary>
    /// <exception cref="InvalidOperationException">Nobody takes part yet.</exception>
    public NodeId OwnerOf(TKey key) => _handOver.OwnerIn(Divided(), key);

    /// <summary>Who would take a key over: the next in rank; with a single member, its owner.</summary>
    /// <exception cref="InvalidOperationException">Nobody takes part yet.</exception>
    public NodeId BackupOf(TKey key) => _handOver.NextIn(Divided(), key);

    private WorkDivision Divided() => Present is { Members.IsEmpty: false } present
        ? present
        : throw new InvalidOperationException("Nobody takes part yet. Join the group with the options that the partition was added to.");

    private void OnView(View view)
    {
        bool isOldest;
        lock (_gate)
        {
            if (view.Joined.Contains(_group!.Node.Id)) _handOver.Reset();
            _handOver.OnView(view);
            isOldest = _handOver.Present!.Members is [var oldest, ..] && oldest == _group.Node.Id;
        }

        if (isOldest) _toConfirm.Writer.TryWrite(view); // not here: the answers to its poll come after this handler
        Changed?.Invoke();
    }

    // All members act by a view's division: the old ones end.
    private ValueTask OnSwitch(GroupMessage change)
    {
        long view = BinaryPrimitives.ReadInt64LittleEndian(change.Body.Span);
        lock (_gate) _handOver.OnSwitch(view);
        return default;
    }

    // Everyone who answers has seen the view. If the view has changed meanwhile, the next one's oldest member does this again.
    private async Task ConfirmAsync(View view, CancellationToken ct)
    {
        while (_group is { } group && group.View.Id == view.Id)
        {
            try
            {
                await group.RequestEntryAsync(Poll, Order.Fifo, default, Replies.All, PollPatience, ct).ConfigureAwait(false);
                if (group.View.Id == view.Id) await group.SendEntryAsync(Switch, Order.Total, Number(view.Number), ct).ConfigureAwait(false);
                return;
            }
            catch (TimeoutException)
            {
                // The members are slow, or a change is under way: ask again if there is still something to ask.
            }
            catch (GroupException)
            {
                return; // this membership is over: others confirm their view
            }
        }
    }

    private static byte[] Number(long view)
    {
        byte[] number = new byte[sizeof(long)];
        BinaryPrimitives.WriteInt64LittleEndian(number, view);
        return number;
    }
}

// The life of a replica at a node: joins the group, joins again after an exclusion until that succeeds, leaves.
// Keeps: whatever ends it, the replica hears of it (OnEnded) and calls fail from then on; a replica that threw is never used again.
using System.Runtime.ExceptionServices;

namespace Core.Groups.Replication;

/// <summary>One replica from the first join to the end.</summary>
internal sealed class ReplicaLife
{
    private static readonly TimeSpan FirstRetry = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan LastRetry = TimeSpan.FromSeconds(5);

    private readonly CancellationTokenSource _closing = new();
    private readonly GroupNode _node;
    private readonly string _name;
    private readonly Task _opening;
    private readonly ReplicaJoin? _join;
    private volatile ProcessGroup? _group;
    private Task _life = Task.CompletedTask;

    /// <summary>Begins the join, elsewhere.</summary>
    /// <param name="join">How the group is joined; null: as any.</param>
    public ReplicaLife(GroupNode node, string name, Func<Replica> create, ReplicaJoin? join)
    {
        _join = join;
        _node = node;
        _name = name;
        _opening = Task.Run(() => OpenAsync(create));
    }

    /// <summary>Completes when the replica has its state. Errors as for <see cref="GroupNode.JoinAsync"/>.</summary>
    public Task Opening => _opening;

    /// <summary>Ends when the node is no member any more and will not be one again; faults with what the replica threw.</summary>
    public Task Completion => _life;

    /// <summary>Of no use to anybody who comes now; nothing of the group is left here.</summary>
    public bool IsSpent => _opening.IsCompleted && (!_opening.IsCompletedSuccessfully || _life.IsCompleted);

    /// <summary>There once the join has ended well, as is the member.</summary>
    public Replica Replica { get; private set; } = null!;

    public ReplicaMember Member { get; private set; } = null!;

    /// <summary>Leaves, or gives up the join. Completes when nothing of the group is left here.</summary>
    public async Task CloseAsync()
    {
        await _closing.CancelAsync().ConfigureAwait(false);
        _group?.Leave();
        await _opening.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _group?.Leave(); // that of a join that ended well meanwhile
        await _life.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        Member?.Dispose();
    }

    private async Task OpenAsync(Func<Replica> create)
    {
        Replica = create();
        Member = new ReplicaMember(_node, _name, Replica);
        await JoinAsync().ConfigureAwait(false);
        _life = LiveAsync();
    }

    private async Task JoinOnceAsync()
    {
        ProcessGroup? joining = null;
        var options = new GroupOptions
        {
            Sink = Member,
            Configure = group =>
            {
                group.IgnoreMessages(); // the sink takes them
                joining = _group = group;
            },
            State = new StateTransfer
            {
                Initialize = () => Begin(null),
                Load = state => Begin(state),
                Save = () => ValueTask.FromResult(Member.Save()),
            },
        };
        ReplicaJoin join = _join ?? _node.JoinAsync;
        await join(_name, options, _closing.Token).ConfigureAwait(false);

        ValueTask Begin(ReadOnlyMemory<byte>? state)
        {
            Member.Begin(joining!, state);
            return default;
        }
    }

    private async Task LiveAsync()
    {
        do
        {
            await _group!.Membership.Over.ConfigureAwait(false);
        }
        while (MayJoinAgain && await TryJoinAgainAsync().ConfigureAwait(false));

        Member.Finish(_group.Membership.WasDeleted ? MembershipEnd.Deleted : _closing.IsCancellationRequested ? MembershipEnd.Left : MembershipEnd.Stopped);
        if (Member.Failure is { } failure)
        {
            ExceptionDispatchInfo.Throw(failure);
        }
    }

    // A membership that ends with its incarnation is followed by another. Else the group or the node is at its end.
    private bool MayJoinAgain => Member.Failure is null && !_closing.IsCancellationRequested && !_node.Host.IsOver
        && _node.Host.Options.RejoinGroups && _node.Host.Generation != Member.LastGeneration;

    private async Task<bool> TryJoinAgainAsync()
    {
        try
        {
            await JoinAsync().ConfigureAwait(false);
            return true;
        }
        catch (Exception e) when (e is OperationCanceledException or GroupException || Member.Failure is not null)
        {
            return false; // closed, stopped, or the replica threw
        }
    }

    // Donors can fail, and so can everybody who had the state; then the next attempt finds others, or begins anew.
    private async Task JoinAsync()
    {
        for (TimeSpan delay = FirstRetry; ; delay = 2 * delay < LastRetry ? 2 * delay : LastRetry)
        {
            try
            {
                await JoinOnceAsync().ConfigureAwait(false);
                return;
            }
            catch (Exception e) when (e is StateTransferException or ExcludedException && Member.Failure is null)
            {
                ReplicaLog.JoinsLater(_node.Host.Logger, e, _name, delay);
            }

            await Task.Delay(delay, TimeProvider.System, _closing.Token).ConfigureAwait(false);
        }
    }
}

using Core.Groups.Replication;

namespace Toolkit.BulletinBoard.Replication;

/// <summary>What the replica tells its face. Called between deliveries, one call at a time.</summary>
internal interface IBoardEffects
{
    /// <summary>A call has ended.</summary>
    /// <param name="call">The call.</param>
    /// <param name="item">What it has read, taken, posted or changed; null: there was none.</param>
    void Done(long call, BoardItem? item);

    /// <summary>An item is on the board (again, or changed).</summary>
    void Appeared(BoardItem item);

    /// <summary>The membership ended before a call did.</summary>
    void Ended(long call, MembershipEnd end);

    /// <summary>Items that this node held are held no more: it is no member.</summary>
    void HoldsLost();
}

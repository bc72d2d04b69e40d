using Core.Groups.Replication;

namespace Toolkit.Locks.Replicas;

/// <summary>What a replica tells the one who asked. Called from inside the replica: must be quick and must not call back.</summary>
internal interface ILockWaiter
{
    /// <summary>What was asked for is held now.</summary>
    /// <param name="token">The fencing token.</param>
    /// <param name="pulsed">After a wait for a condition: whether it was pulsed (else the time was over).</param>
    void Granted(long token, bool pulsed);

    /// <summary>A try: it was not to be had at once, and is withdrawn.</summary>
    void Refused();

    /// <summary>While this call waited, one that held, not shared, failed or left: it has not released what it held.</summary>
    void HolderFailed()
    {
    }

    /// <summary>The hold was given up by <see cref="QueueReplica.GiveUpHolds"/>.</summary>
    void Lost();

    /// <summary>The membership is over: nothing is held or asked for any more.</summary>
    void Ended(MembershipEnd end);
}

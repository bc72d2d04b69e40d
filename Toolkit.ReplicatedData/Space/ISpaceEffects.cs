using Core.Groups.Replication;

namespace Toolkit.ReplicatedData.Space;

/// <summary>What a space's replica tells the application's side. Called between deliveries; must be quick and must not call back.</summary>
internal interface ISpaceEffects
{
    /// <summary>A call has ended well; of a lock: it is granted, and <see cref="UpdateResult.Taken"/> is what is locked.</summary>
    void Done(long call, in UpdateResult result);

    /// <summary>A linearizable read has its place in the order: what it is to give is what is there now. <see cref="Done"/> follows when that is stable.</summary>
    void Fenced(long call);

    /// <summary>A call has ended without effect.</summary>
    void Failed(long call, Exception error);

    /// <summary>The membership is over: calls that have not ended will not end.</summary>
    void Ended(MembershipEnd end);
}

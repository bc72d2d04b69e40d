namespace Toolkit.ReplicatedData.Space;

/// <summary>
/// The messages of a space; the first byte says which. <c>call</c>: the number of the call at its sender, doubled, plus 1 if
/// the caller waits until it is stable; <c>transaction</c>: its number at its node; numbers are varints; <c>operations</c>: their
/// number, then each as <see cref="Operation"/> writes it, up to the end of the message.
/// </summary>
internal enum SpaceMessage : byte
{
    /// <summary>Total: call, kind and mode (a byte each), name. Makes an object that is not there.</summary>
    Open = 1,

    /// <summary>Total: call, the version seen (0: only objects in total mode), operations. All of them, or none if a condition is not met.</summary>
    Update = 2,

    /// <summary>Causal: version, operations.</summary>
    Causal = 3,

    /// <summary>Total: call. A place in the order for a linearizable read.</summary>
    Fence = 4,

    /// <summary>Total: call, transaction, flag: exclusive, object (8 bytes), key (blob).</summary>
    Lock = 5,

    /// <summary>Causal: transaction, operations. They wait for the commit.</summary>
    Write = 6,

    /// <summary>Total: call, transaction.</summary>
    Commit = 7,

    /// <summary>Total: transaction.</summary>
    Abort = 8,

    /// <summary>GBCAST: nothing more. No update crosses it, so what was removed may be forgotten.</summary>
    Sweep = 9,

    /// <summary>Total: the number of an update that waits for locks (negated), the deadlock that it is to break (text).</summary>
    Withdraw = 10,
}

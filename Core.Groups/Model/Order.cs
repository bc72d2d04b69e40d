namespace Core.Groups;

/// <summary>
/// The broadcast primitives of the Isis papers (RFC 992 section 6, "Exploiting virtual synchrony" 4.1) and the safe
/// delivery of extended virtual synchrony. Every kind is atomic: all surviving destinations deliver, or none.
/// </summary>
public enum Order : byte
{
    /// <summary>MBCAST: delivered when received; no order.</summary>
    Reliable = 0,
    /// <summary>FBCAST: in the order in which its sender sent.</summary>
    Fifo = 1,
    /// <summary>CBCAST: after everything that its sender had delivered or sent before.</summary>
    Causal = 2,
    /// <summary>ABCAST: in one order at all members.</summary>
    Total = 3,
    /// <summary>CABCAST: total and causal.</summary>
    CausalTotal = 4,
    /// <summary>As <see cref="CausalTotal"/>, and delivered only when every destination has the message and its past.</summary>
    Safe = 5,
    /// <summary>GBCAST: at one place among all messages of its group, whatever their kind, and all its views.</summary>
    Group = 6,
}

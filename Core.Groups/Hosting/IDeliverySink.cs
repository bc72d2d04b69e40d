namespace Core.Groups.Hosting;

/// <summary>
/// Takes a group's messages and views as they are, in place of entry points. Called by the group's pump, one at a time, with
/// the generation of the machine that they belong to. What it throws would end the pump: it must not.
/// </summary>
internal interface IDeliverySink
{
    /// <summary>A message.</summary>
    /// <param name="packed">The body in its envelope. Not reused.</param>
    /// <param name="token">Not 0: a request, which is answered by this token.</param>
    void OnMessage(NodeId from, Order order, ReadOnlyMemory<byte> packed, long token, int generation);

    /// <summary>A view; the first of a membership comes before its state.</summary>
    void OnView(View view, int generation);
}

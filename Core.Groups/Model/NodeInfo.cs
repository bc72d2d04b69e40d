namespace Core.Groups;

/// <summary>A member of the present configuration, as its handshake introduced it.</summary>
/// <param name="Id">The node.</param>
/// <param name="Address">The address at which it listens (<c>host:port</c>).</param>
/// <param name="Site">Its site, or empty.</param>
/// <param name="Weight">Its weight in majorities.</param>
public sealed record NodeInfo(NodeId Id, string Address, string Site, int Weight);

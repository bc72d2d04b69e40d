// What the handler of a request wants of its answer beside that it reaches the caller: copies to others, or that others answer.
// Keeps: it is carried out when the handler has ended, once; an answer whose copies cannot be paid for becomes an error to the caller.
using Core.Groups.Protocol.Requests;

namespace Core.Groups.Hosting;

/// <summary>One request's plan. Used by its handler alone.</summary>
internal sealed class AnswerPlan
{
    private readonly List<ProcessGroup> _groups = [];
    private readonly List<NodeId> _nodes = [];

    /// <summary>What stands in front of the answer in a copy: the envelope, so that it reaches an entry point.</summary>
    public ReadOnlyMemory<byte> Head { get; set; } = Envelope.Pack([]);

    public ProcessGroup? PassTo { get; private set; }
    public NodeId? Only { get; private set; }
    public bool IsEmpty => PassTo is null && _groups.Count + _nodes.Count == 0;

    public void Copy(IEnumerable<ProcessGroup> groups, IEnumerable<NodeId> nodes)
    {
        _groups.AddRange(groups);
        _nodes.AddRange(nodes);
    }

    public void PassOn(ProcessGroup group, NodeId? only) => (PassTo, Only) = (group, only);

    /// <summary>Gives the protocol what the handler has made.</summary>
    /// <param name="request">The request as it came, with its envelope.</param>
    /// <exception cref="GroupException">This node is not in one of the groups (any more), or has no credit there.</exception>
    public async ValueTask CarryOutAsync(NodeHost host, long token, ReadOnlyMemory<byte> request, ReadOnlyMemory<byte> answer, int generation)
    {
        if (PassTo is { } next)
        {
            GroupId id = next.Membership.RequirePresent().Id;
            var passed = new NodeInput { Kind = InputKind.PassOn, Token = token, Group = id, Subject = Only, Body = request, Generation = generation };
            await SpreadCall.PostAsync(host, [next.Membership], passed, request.Length, CancellationToken.None).ConfigureAwait(false);
            return;
        }

        GroupMembership[] memberships = SpreadCall.MembershipsOf(_groups);
        var copies = new SpreadTarget([.. memberships.Select(m => m.RequirePresent().Id).Order()], [.. _nodes.Distinct()], null);
        byte[] body = [.. Head.Span, .. answer.Span];
        var input = new NodeInput { Kind = InputKind.ReplyWithCopies, Token = token, Body = body, Number = Head.Length, Subject = copies, Generation = generation };
        await SpreadCall.PostAsync(host, memberships, input, body.Length, CancellationToken.None).ConfigureAwait(false);
    }
}

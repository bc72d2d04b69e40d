// How the scripted application answers requests: itself, with copies to others, or by passing them on.
// Keeps: it pays for copies and for what it passes on, as for multicasts.
using Core.Groups.Protocol;
using Core.Groups.Protocol.Groups;
using Core.Groups.Protocol.Requests;

namespace Core.Groups.Testing.Simulation;

internal sealed class SimulatedAnswers(ApplicationSeat seat, SimulatedApplication application)
{
    private const int NoEcho = byte.MaxValue;
    private readonly SimulatedCluster cluster = seat.Cluster;
    private readonly SimulatedProcess process = seat.Process;
    private readonly SimulationRandom random = seat.Random;
    private readonly ApplicationProfile profile = seat.Cluster.Options.Application;

    public void Answer(GroupReplica replica, Delivery delivery, ulong marker, bool mayIgnore)
    {
        if (mayIgnore && random.Chance(profile.NoReplyChance)) return;
        bool isError = random.Chance(profile.ErrorReplyChance);
        ulong asked = cluster.FindAnnounced(marker) is { Asked: not 0 and var before } ? before : marker;
        byte[] body = isError ? "refused"u8.ToArray() : MessageBody.MakeReply(asked, process.Id);
        AnswerChoice choice = AnswerChoice.Draw(profile, random);
        process.After(random.Between(TimeSpan.Zero, profile.HandlingTime), () =>
        {
            bool mayChoose = replica.IsLoaded && application.Replicas.Contains(replica);
            bool mayPassOn = asked == marker || choice.IsToOne;      // or each that gets it passes it on to all again
            if (mayChoose && mayPassOn && choice.PassesOn) PassOn(delivery, asked, choice, mayIgnore);
            else if (mayChoose && choice.Copies) AnswerWithCopies(delivery.ReplyToken, body, isError, choice);
            else process.Call(now => process.Machine.Reply(now, delivery.ReplyToken, body, isError));
        });
    }

    /// <summary>To the members of one of this node's groups, or to one of them.</summary>
    private void PassOn(Delivery delivery, ulong asked, AnswerChoice choice, bool mayIgnore)
    {
        GroupReplica to = choice.Pick([.. application.Replicas.Where(r => r.IsLoaded)]);
        NodeId? only = choice.IsToOne && to.View is { } view ? choice.Pick(view.Members) : null;
        SentMessage message = cluster.Announce(delivery.From, to.Name, Order.Causal, choice.Size, asked: asked);
        byte[] body = MessageBody.Make(message.Marker, NoEcho, mayIgnore, choice.Size);
        application.WithCredit(to, body.Length + CreditAccount.MessageOverhead, () => process.Call(now => process.Machine.PassOn(now, delivery.ReplyToken, to.Id, only, body)));
    }

    private void AnswerWithCopies(long token, byte[] answer, bool isError, AnswerChoice choice)
    {
        GroupReplica[] groups = [.. application.Replicas.Where(r => r is { IsLoaded: true, IsLeaving: false } && choice.Takes())];
        var names = new SpreadNames([.. groups.Select(g => g.Name)], [.. cluster.Names.Where(_ => choice.TakesOne())], null);
        SentMessage copy = cluster.Announce(process.Id, names.Groups.FirstOrDefault(""), Order.Causal, choice.Size, names);
        byte[] head = MessageBody.Make(copy.Marker, NoEcho, mayIgnore: false, choice.Size), body = [.. head, .. answer];
        SpreadTarget target = application.TargetOf(names);
        application.WithCredit(groups, body.Length, () => process.Call(now => process.Machine.ReplyWithCopies(now, token, body, isError, head.Length, target)));
    }
}

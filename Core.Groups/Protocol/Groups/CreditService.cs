// Tells senders what this node's application has consumed, and the host what all members have.
// Keeps: a sender that waits hears of new credit within the acknowledgement delay.
namespace Core.Groups.Protocol.Groups;

internal sealed class CreditService(NodeContext context, Services services, GroupService groups)
{
    private readonly HashSet<GroupMember> _owing = [];

    /// <summary>Told of each call that this node sent for a caller, when all members have consumed it.</summary>
    public Action<NodeId, long> OnCallerConsumed { get; set; } = static (_, _) => { };

    public void OnConsumed(GroupId id, int deliveries)
    {
        if (groups.Find(id) is not { } group) return;
        group.Credit.OnConsumed(deliveries);
        foreach (CreditAccount.Producer producer in group.Credit.Producers)
        {
            if (producer.Id != context.Self) continue;
            group.Credit.OnTold(context.Self, producer.Consumed);
            Release(group);
        }
        Owe(group);
    }

    /// <summary>A delivery that is not handed to the application.</summary>
    public void OnDropped(GroupMember group, NodeId sender, int bytes)
    {
        long consumed = group.Credit.OnDropped(sender, bytes);
        if (sender != context.Self)
        {
            Owe(group);
            return;
        }
        group.Credit.OnTold(context.Self, consumed);
        Release(group);
    }

    public void OnTold(NodeId member, ref Wire.WireReader reader)
    {
        if (groups.Find(reader.Group()) is not { } group) return;
        group.Credit.OnTold(member, reader.Varint());
        Release(group);
    }

    /// <summary>A view changed: nobody waits for the credit of those that are gone.</summary>
    public void Release(GroupMember group)
    {
        long bytes = group.Credit.Release(OnCallerConsumed);
        if (bytes > 0) context.Effects.CreditReleased(group.Id, bytes);
    }

    public void OnEnded(GroupMember group)
    {
        _owing.Remove(group);
        group.Credit.End(OnCallerConsumed);
    }

    /// <summary>A new configuration: what was told may have been lost, so everything is told again.</summary>
    public void OnInstalled()
    {
        foreach (GroupMember group in groups.Members)
        {
            foreach (CreditAccount.Producer producer in group.Credit.Producers) producer.Told = 0;
            if (group.Credit.Producers.Count > 0) Owe(group);
        }
    }

    /// <summary>The senders are to hear what is consumed.</summary>
    public void Owe(GroupMember group)
    {
        group.Credit.OwesSince ??= context.Now;
        _owing.Add(group);
    }

    public void EndTurn()
    {
        if (_owing.Count == 0 || !context.IsWorking) return;
        foreach (GroupMember group in _owing.OrderBy(g => g.Id).ToArray())
        {
            bool isDue = context.Now - group.Credit.OwesSince!.Value >= context.Settings.AcknowledgementDelay;
            bool owes = false;
            foreach (CreditAccount.Producer producer in group.Credit.Producers)
            {
                if (producer.Id == context.Self || producer.Consumed == producer.Told) continue;
                if (isDue || producer.Consumed - producer.Told >= context.Settings.CreditWindow / 4) Tell(group, producer);
                else owes = true;
            }
            if (owes) continue;
            group.Credit.OwesSince = null;
            _owing.Remove(group);
        }
        _owing.LetGo();
    }

    public TimeSpan Deadline()
    {
        TimeSpan deadline = TimeSpan.MaxValue;
        if (!context.IsWorking) return deadline;
        foreach (GroupMember group in _owing)
        {
            TimeSpan due = group.Credit.OwesSince!.Value + context.Settings.AcknowledgementDelay;
            if (due < deadline) deadline = due;
        }
        return deadline;
    }

    private void Tell(GroupMember group, CreditAccount.Producer producer)
    {
        producer.Told = producer.Consumed;
        services.Send(producer.Id, ServiceRecord.Credit, writer =>
        {
            writer.Group(group.Id);
            writer.Varint(producer.Consumed);
        });
    }
}

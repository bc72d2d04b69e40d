using Core.Groups.Protocol.Ordering;
using Xunit;

namespace Core.Groups.Tests.Ordering;

public sealed class TotalQueueTests
{
    private static readonly Destination To = new(new GroupId(1, 1), 0, MemberSet.Of([0, 1, 2]), MemberSet.Of([0, 1, 2]));

    [Fact]
    public void Messages_leave_in_the_order_of_timestamp_and_then_sender_however_they_come()
    {
        var random = new Random(4711);
        var queue = new TotalQueue();
        var expected = new PriorityQueue<Message, ulong>();
        long[] clocks = new long[5];
        for (int step = 0; step < 20_000; step++)
        {
            if (random.Next(100) < (step < 10_000 ? 60 : 40))
            {
                int sender = random.Next(clocks.Length);
                clocks[sender] += random.Next(1, 4);
                Message message = Total(sender, clocks[sender]);
                queue.Enqueue(message);
                expected.Enqueue(message, message.TotalKey);
            }
            else if (expected.TryDequeue(out Message? first, out _))
            {
                Assert.True(queue.TryPeek(out Message? peeked));
                Assert.Same(first, peeked);
                queue.Dequeue();
            }

            Assert.Equal(expected.Count, queue.Count);
        }

        Assert.Equal(expected.UnorderedItems.Select(e => e.Element.TotalKey).Order(), queue.Messages.Select(m => m.TotalKey).Order());
    }

    [Fact]
    public void An_empty_queue_has_nothing_to_peek_also_after_it_was_cleared()
    {
        var queue = new TotalQueue();
        Assert.False(queue.TryPeek(out _));
        queue.Enqueue(Total(0, 1));
        queue.Clear();
        Assert.False(queue.TryPeek(out _));
        Assert.Equal(0, queue.Count);
        Assert.Empty(queue.Messages);
    }

    private static Message Total(int sender, long timestamp) =>
        new() { Sender = sender, Sequence = timestamp, Kind = MessageKind.Total, Destination = To, Timestamp = timestamp };
}

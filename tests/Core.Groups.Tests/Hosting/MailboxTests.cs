using System.Collections.Immutable;
using Core.Groups.Hosting;
using Core.Groups.Protocol;

namespace Core.Groups.Tests.Hosting;

public sealed class MailboxTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private sealed class Handler : IMailHandler
    {
        private int _inside;

        public List<string> Handled { get; } = [];
        public List<(int Messages, long Bytes, int Generation)> Reports { get; } = [];
        public List<bool> Wakes { get; } = [];
        public bool Overlapped { get; private set; }
        public Func<string, ValueTask>? OnItem { get; set; }
        public volatile bool Takes = true;

        public bool TakesMessages => Takes;

        public ValueTask HandleAsync(in Mail mail, int generation) =>
            RunAsync(mail.Kind == MailKind.Message ? $"{generation}:{mail.Delivery.Message.Sequence}" : $"{generation}:{mail.Kind}");

        public void Consumed(int messages, long bytes, int generation) => Reports.Add((messages, bytes, generation));

        public void WakeLoop(bool onThisThread) => Wakes.Add(onThisThread);

        private async ValueTask RunAsync(string item)
        {
            Overlapped |= Interlocked.Exchange(ref _inside, 1) == 1;
            Handled.Add(item);
            if (OnItem is not null)
            {
                await OnItem(item);
            }

            Interlocked.Exchange(ref _inside, 0);
        }
    }

    private readonly Handler _handler = new();
    private readonly Mailbox _mailbox;

    public MailboxTests()
    {
        _mailbox = new Mailbox(_handler, null);
        _mailbox.Open(0);
    }

    private static Mail Message(long sequence, int size = 10, long reply = 0) => new()
    {
        Kind = MailKind.Message,
        Delivery = new Delivery
        {
            Group = default, From = default, Order = Order.Fifo, Body = new byte[size], Message = new MessageId(default, 1, sequence), ReplyToken = reply,
        },
    };

    private static Mail View() => new()
    {
        Kind = MailKind.View, Subject = new View(default, "/g", 1, "v", [], [], ImmutableArray<NodeId>.Empty, true),
    };

    private Task Publish(params Mail[] mails)
    {
        foreach (Mail mail in mails)
        {
            _mailbox.Stage(mail);
        }

        _mailbox.Publish();
        _mailbox.StartPump();
        return _mailbox.WhenIdle().WaitAsync(Patience);
    }

    [Fact]
    public async Task Views_messages_and_state_come_one_at_a_time_in_their_order()
    {
        _handler.OnItem = async _ => await Task.Yield();
        await Publish(View(), new Mail { Kind = MailKind.LoadState }, Message(1), Message(2), new Mail { Kind = MailKind.SaveState }, Message(3), new Mail { Kind = MailKind.End });
        Assert.Equal(["0:View", "0:LoadState", "0:1", "0:2", "0:SaveState", "0:3", "0:End"], _handler.Handled);
        Assert.False(_handler.Overlapped);
        Assert.Equal([(3, 30L, 0)], _handler.Reports);
    }

    [Fact]
    public async Task Many_turns_while_the_pump_runs_lose_nothing()
    {
        _handler.OnItem = item => item.EndsWith('7') ? new ValueTask(Task.Run(() => { })) : default;
        for (int turn = 0; turn < 2000; turn++)
        {
            _mailbox.Stage(Message((2 * turn) + 1));
            _mailbox.Stage(Message((2 * turn) + 2));
            _mailbox.Publish();
            _mailbox.StartPump();
        }

        await _mailbox.WhenIdle().WaitAsync(Patience);
        Assert.Equal(Enumerable.Range(1, 4000).Select(i => $"0:{i}"), _handler.Handled);
        Assert.Equal(4000, _handler.Reports.Sum(r => r.Messages));
        Assert.False(_handler.Overlapped);
    }

    [Fact]
    public async Task Messages_are_held_until_they_can_be_taken_and_views_before_them_are_not()
    {
        _handler.Takes = false;
        await Publish(View(), Message(1), View(), Message(2));
        Assert.Equal(["0:View"], _handler.Handled);
        Assert.Empty(_handler.Reports);
        Assert.Equal(3, _mailbox.Waiting);
        await Publish(Message(3));
        Assert.Single(_handler.Handled);
        _handler.Takes = true;
        await Publish();
        Assert.Equal(["0:View", "0:1", "0:View", "0:2", "0:3"], _handler.Handled);
        Assert.Equal(0, _mailbox.Waiting);
    }

    [Fact]
    public async Task What_was_cut_off_is_never_handed_out_and_the_next_membership_waits_for_the_running_handler()
    {
        var inside = new TaskCompletionSource();
        var release = new TaskCompletionSource();
        _handler.OnItem = item =>
        {
            if (item == "0:1")
            {
                inside.SetResult();
                return new ValueTask(release.Task);
            }

            return default;
        };
        Task idle = Publish(Message(1), Message(2));
        await inside.Task.WaitAsync(Patience);
        _ = Publish(Message(3));
        _mailbox.Stage(Message(4));
        _mailbox.Drop();
        _mailbox.Open(1);
        Task next = Publish(View(), Message(5));
        Assert.Equal(["0:1"], _handler.Handled);
        release.SetResult();
        await Task.WhenAll(idle, next);
        Assert.Equal(["0:1", "1:View", "1:5"], _handler.Handled);
        Assert.Contains((1, 10L, 1), _handler.Reports);
    }

    [Fact]
    public async Task Consumption_is_reported_within_a_long_batch()
    {
        await Publish([.. Enumerable.Range(1, 200).Select(i => Message(i, size: 1))]);
        Assert.Equal([64, 64, 64, 8], _handler.Reports.Select(r => r.Messages));
        _handler.Reports.Clear();
        await Publish(Message(1, 300_000), Message(2, 300_000), Message(3, 1));
        Assert.Equal([1, 1, 1], _handler.Reports.Select(r => r.Messages));
    }

    [Fact]
    public async Task An_answer_wakes_the_loop_on_the_pump_only_at_the_end_of_a_batch()
    {
        await Publish(Message(1, reply: 9), Message(2), Message(3, reply: 10));
        Assert.Equal([false, true], _handler.Wakes);
        _handler.Wakes.Clear();
        await Publish(Message(4));
        Assert.Empty(_handler.Wakes);
    }
}

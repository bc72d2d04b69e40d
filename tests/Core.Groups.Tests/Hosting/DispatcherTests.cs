using System.Text;
using Core.Groups.Hosting;
using Core.Groups.Protocol;
using Microsoft.Extensions.Logging;

namespace Core.Groups.Tests.Hosting;

public sealed class DispatcherTests : IReplies, ILogger
{
    private static readonly View View = new(default, "/g", 3, "v3", [], [], [], true);

    private sealed record Question(int Number);
    private sealed record Answer(int Number);
    private sealed record Unknown(int Number);

    private readonly JsonPayloadSerializer _serializer = new();
    private readonly EntryPoints _entries;
    private readonly HostCounters _counters = new("a");
    private readonly Dispatcher _dispatcher;
    private readonly List<(long Token, string Body, bool IsError)> _replies = [];
    private readonly List<(LogLevel Level, string Text)> _log = [];

    public DispatcherTests()
    {
        _entries = new EntryPoints(_serializer);
        _dispatcher = new Dispatcher("/g", _entries, this, 1000, _counters, this);
    }

    void IReplies.Reply(long token, ReadOnlyMemory<byte> body, bool isError, int generation) =>
        _replies.Add((token, Encoding.UTF8.GetString(body.Span), isError));

    ValueTask IReplies.AnswerAsync(AnswerPlan plan, in Delivery request, ReadOnlyMemory<byte> answer, int generation)
    {
        _replies.Add((request.ReplyToken, $"{Encoding.UTF8.GetString(answer.Span)} as planned", false));
        return default;
    }

    IDisposable? ILogger.BeginScope<TState>(TState state) => null;
    bool ILogger.IsEnabled(LogLevel logLevel) => true;
    void ILogger.Log<TState>(LogLevel level, EventId id, TState state, Exception? error, Func<TState, Exception?, string> format) =>
        _log.Add((level, format(state, error)));

    private ValueTask Dispatch(ReadOnlyMemory<byte> packed, long token = 0) => _dispatcher.DispatchAsync(
        new Delivery
        {
            Group = default, From = new NodeId("b", 1), Order = Order.Total, Body = packed,
            Message = new MessageId(new NodeId("b", 1), 1, 5), ReplyToken = token,
        },
        null!, View, 0);

    private ReadOnlyMemory<byte> Typed<T>(T value) => Envelope.Pack(value, _serializer);

    private static ReadOnlyMemory<byte> Raw(string text) => Envelope.Pack(Encoding.UTF8.GetBytes(text));

    [Fact]
    public async Task Each_message_goes_to_the_entry_of_its_type()
    {
        var got = new List<string>();
        _entries.Add(m =>
        {
            got.Add($"raw {Encoding.UTF8.GetString(m.Body.Span)} from {m.From} {m.Order} in {m.View.Number}");
            return default;
        });
        _entries.Add<Question>((q, _) =>
        {
            got.Add($"question {q.Number}");
            return default;
        });
        await Dispatch(Raw("x"));
        await Dispatch(Typed(new Question(4)));
        Assert.Equal(["raw x from b.1 Total in 3", "question 4"], got);
        Assert.Empty(_log);
    }

    [Fact]
    public async Task Requests_are_answered_by_handlers_that_are_done_at_once_and_later()
    {
        _entries.AddRequest(m => ValueTask.FromResult<ReadOnlyMemory<byte>>(Encoding.UTF8.GetBytes("a:" + Encoding.UTF8.GetString(m.Body.Span))));
        _entries.AddRequest<Question, Answer>(async (q, _) =>
        {
            await Task.Yield();
            return new Answer(q.Number + 1);
        });
        await Dispatch(Raw("x"), token: 1);
        await Dispatch(Typed(new Question(4)), token: 2);
        await Dispatch(Typed(new Question(4))); // sent as a plain message: no reply
        Assert.Equal([(1, "a:x", false), (2, """{"Number":5}""", false)], _replies);
    }

    [Fact]
    public async Task A_handler_that_throws_is_logged_and_answered_and_the_next_message_goes_on()
    {
        int calls = 0;
        _entries.Add(_ => ++calls == 1 ? throw new InvalidOperationException("first") : ValueTask.FromException(new InvalidOperationException("second")));
        _entries.AddRequest<Question, Answer>(async (_, _) =>
        {
            await Task.Yield();
            throw new InvalidOperationException("third");
        });
        await Dispatch(Raw("x"));
        await Dispatch(Raw("y"));
        await Dispatch(Typed(new Question(1)), token: 7);
        Assert.Equal(2, calls);
        Assert.Equal(3, _counters.HandlerErrors);
        Assert.Equal(3, _log.Count(l => l.Level == LogLevel.Error && l.Text.Contains("/g") && l.Text.Contains("b.1/1/5")));
        Assert.Equal([(7, "third", true)], _replies);
    }

    [Fact]
    public async Task Unknown_types_and_bad_bodies_are_counted_logged_once_and_answered()
    {
        _entries.AddRequest<Question, Answer>((q, _) => ValueTask.FromResult(new Answer(q.Number)));
        for (int i = 0; i < 3; i++)
        {
            await Dispatch(Typed(new Unknown(i)));
        }

        byte[] bad = Typed(new Question(1)).ToArray();
        bad[^1] = (byte)'x';
        await Dispatch(bad, token: 1);
        await Dispatch(new byte[] { 77 }, token: 2);
        await Dispatch(Raw("x"), token: 3);
        Assert.Equal(6, _counters.Undecodable);
        Assert.Equal(4, _log.Count); // the unknown type, the bad body, no envelope, raw
        Assert.Equal(0, _counters.HandlerErrors);
        Assert.Equal([1L, 2L, 3L], _replies.Select(r => r.Token));
        Assert.All(_replies, r => Assert.True(r.IsError));
    }

    [Fact]
    public async Task Ignored_messages_are_passed_over_in_silence_but_requests_are_answered()
    {
        Assert.False(_entries.IsReady);
        _entries.IgnoreMessages();
        Assert.True(_entries.IsReady);
        await Dispatch(Raw("x"));
        await Dispatch(Typed(new Unknown(1)), token: 4);
        Assert.Empty(_log);
        Assert.Equal(0, _counters.Undecodable);
        Assert.True(Assert.Single(_replies).IsError);
    }

    [Fact]
    public async Task A_reply_that_is_too_large_is_an_error_of_the_member()
    {
        _entries.AddRequest(_ => ValueTask.FromResult<ReadOnlyMemory<byte>>(new byte[1001]));
        await Dispatch(Raw("x"), token: 1);
        Assert.True(Assert.Single(_replies).IsError);
        Assert.Contains("1001", _replies[0].Body);
    }

    [Fact]
    public void An_entry_point_is_registered_once()
    {
        _entries.Add<Question>((_, _) => default);
        Assert.Contains("Question", Assert.Throws<InvalidOperationException>(() => _entries.Add<Question>((_, _) => default)).Message);
        _entries.Add(_ => default);
        Assert.Throws<InvalidOperationException>(() => _entries.Add(_ => default));
    }
}

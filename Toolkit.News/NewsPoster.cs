// Posting without taking part: what nodes outside a channel and clients have in common.
using System.Collections.Concurrent;
using System.Text;
using Core.Groups;
using Core.Groups.Replication;
using Toolkit.News.Replication;

namespace Toolkit.News;

/// <summary>Posts from a client, which is no node. May be used from any thread.</summary>
public sealed class NewsPoster
{
    private static readonly TimeSpan MovePatience = TimeSpan.FromMilliseconds(10);

    private readonly GroupClient _client;
    private readonly NewsOptions _options;
    private readonly ConcurrentDictionary<string, int> _places = []; // as they were last told of
    private long _last;

    internal NewsPoster(GroupClient client, NewsOptions options) => (_client, _options) = (client, options);

    /// <summary>
    /// Posts through a member of the topic's channel. Completes when the post has its place and all members have it: it is there once, whichever nodes
    /// fail meanwhile.
    /// </summary>
    /// <returns>The post's number (<see cref="NewsPost.Number"/>).</returns>
    /// <param name="topic">The topic: no wildcards.</param>
    /// <param name="body">The content; copied.</param>
    /// <param name="order">In which order subscribers get it.</param>
    /// <param name="ct">Ends the wait; it may be posted.</param>
    /// <exception cref="ArgumentException">That is no topic.</exception>
    /// <exception cref="GroupNotFoundException">No node has part in the topic's channel: nobody would get the post, or keep it. Let a node subscribe.</exception>
    /// <exception cref="MessageTooLargeException">The content is too large.</exception>
    /// <exception cref="ClientForgottenException">The client was cut off for too long: it may be posted.</exception>
    /// <exception cref="ClientStoppedException">The client has stopped: it may be posted.</exception>
    public ValueTask<long> PostAsync(string topic, ReadOnlyMemory<byte> body, NewsOrder order = NewsOrder.Total, CancellationToken ct = default)
    {
        return PostAsync(ChannelMap.Topic(topic).FirstWord!, topic, body, order, ct);
    }

    private async ValueTask<long> PostAsync(string word, string topic, ReadOnlyMemory<byte> body, NewsOrder order, CancellationToken ct)
    {
        long sequence = Interlocked.Increment(ref _last);
        while (true)
        {
            int place = _places.GetValueOrDefault(word, ChannelMap.ChannelOf(word, _options.Channels));
            try
            {
                long number = await OutsidePost.SendAsync((primitive, post) => AskAsync(_options.GroupOf(place), primitive, post), sequence, topic, body, order).ConfigureAwait(false);
                if (number > NewsReplica.Elsewhere)
                    return number;
                await Task.Delay(MovePatience, ct).ConfigureAwait(false); // a move takes a few round trips
                await LookAsync().ConfigureAwait(false);
            }
            catch (GroupNotFoundException) when (_options.RebalanceAfter != Timeout.InfiniteTimeSpan)
            {
                if (await LookAsync().ConfigureAwait(false) == place)
                    throw;
            }
        }

        ValueTask<GroupReplies> AskAsync(string group, Order primitive, ReadOnlyMemory<byte> question) =>
            _client.RequestAsync(group, primitive, question, Replies.First, timeout: null, ct);

        async ValueTask<int> LookAsync() => _places[word] =
            await OutsidePost.AskPlaceAsync((primitive, question) => AskAsync(_options.DirectoryGroup, primitive, question), word).ConfigureAwait(false)
            ?? ChannelMap.ChannelOf(word, _options.Channels);
    }
}

/// <summary>A post as a request to the members of its channel.</summary>
internal static class OutsidePost
{
    /// <summary>Asks until a member has answered: it is one post, however often it is asked for.</summary>
    /// <returns>The post's number; <see cref="NewsReplica.Elsewhere"/>: the topic is in another channel.</returns>
    public static async ValueTask<long> SendAsync(
        Func<Order, ReadOnlyMemory<byte>, ValueTask<GroupReplies>> request, long sequence, string topic, ReadOnlyMemory<byte> body, NewsOrder order)
    {
        Order primitive = NewsReplica.PrimitiveOf(order);
        byte[] post = NewsReplica.Format(new BodyWriter(body.Length + 64), sequence, order, DateTimeOffset.UtcNow, topic, body.Span, mayBeAgain: true).ToArray();
        while (true)
        {
            GroupReplies replies = await request(primitive, post).ConfigureAwait(false);
            if (replies.Answers is [{ IsError: false } answer, ..])
                return new BodyReader(answer.Body).Varint();
            if (replies.Answers.Count > 0)
                throw new InvalidOperationException($"{replies.Answers[0].From}: {Encoding.UTF8.GetString(replies.Answers[0].Body.Span)}");
        }
    }

    /// <summary>Asks a member of the directory where a word is. Null: there is no directory.</summary>
    public static async ValueTask<int?> AskPlaceAsync(Func<Order, ReadOnlyMemory<byte>, ValueTask<GroupReplies>> request, string word)
    {
        var question = new BodyWriter();
        question.Text(word);
        try
        {
            while (true)
            {
                GroupReplies replies = await request(Order.Causal, question.ToArray()).ConfigureAwait(false);
                if (replies.Answers is [{ IsError: false } answer, ..])
                    return (int)new BodyReader(answer.Body).Varint();
            }
        }
        catch (GroupNotFoundException)
        {
            return null;
        }
    }
}

/// <summary>Which group carries which topic if none moves: the same at all nodes and clients.</summary>
internal static class ChannelMap
{
    // Topics with one first word share a channel, so that a pattern that begins with it needs that one alone.
    public static int ChannelOf(string firstWord, int channels)
    {
        uint hash = 2166136261;
        foreach (char c in firstWord)
            hash = (hash ^ c) * 16777619;
        return (int)((hash ^ (hash >> 15)) % (uint)channels);
    }

    /// <exception cref="ArgumentException">That is no topic.</exception>
    public static TopicPattern Topic(string topic) => new TopicPattern(topic) is { IsTopic: true } read
        ? read
        : throw new ArgumentException($"'{topic}' is a pattern: name one topic.", nameof(topic));
}

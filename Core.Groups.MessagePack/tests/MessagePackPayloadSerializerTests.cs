// What is written is read as it was, by itself and through a real node; what is no message is an error.
using System.Buffers;
using MessagePack;

namespace Core.Groups.MessagePack.Tests;

[MessagePackObject]
public sealed record Quote([property: Key(0)] string Symbol, [property: Key(1)] decimal Price);

public sealed class MessagePackPayloadSerializerTests
{
    private static readonly MessagePackPayloadSerializer Serializer = new();

    [Fact]
    public void What_is_written_is_read_as_it_was()
    {
        var output = new ArrayBufferWriter<byte>();
        Serializer.Serialize(new Quote("SUN", 26.6m), output);
        Serializer.Serialize(17L, output);
        Assert.Equal(new Quote("SUN", 26.6m), Serializer.Deserialize<Quote>(output.WrittenMemory));
    }

    [Theory]
    [InlineData(new byte[0])]
    [InlineData(new byte[] { 0xc1 })]
    [InlineData(new byte[] { 0x92, 0xa3, 0x53 })]
    public void Bytes_that_are_no_message_are_an_error(byte[] body) =>
        Assert.ThrowsAny<Exception>(() => Serializer.Deserialize<Quote>(body));

    [Fact(Timeout = 60_000)]
    public async Task A_group_speaks_it()
    {
        await using GroupNode node = await GroupNode.StartAsync(new GroupNodeOptions { Name = "a", Serializer = Serializer });
        var got = new TaskCompletionSource<Quote>(TaskCreationOptions.RunContinuationsAsynchronously);
        await using ProcessGroup group = await node.JoinAsync("/quotes", new GroupOptions
        {
            Configure = g => g.On<Quote>((quote, _) =>
            {
                got.TrySetResult(quote);
                return ValueTask.CompletedTask;
            }),
        });
        await group.TotalAsync(new Quote("SUN", 26.6m));
        Assert.Equal(new Quote("SUN", 26.6m), await got.Task);
    }
}

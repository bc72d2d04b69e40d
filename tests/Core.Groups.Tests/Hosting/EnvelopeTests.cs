using System.Text;
using Core.Groups.Hosting;

namespace Core.Groups.Tests.Hosting;

public sealed class EnvelopeTests
{
    private static readonly IPayloadSerializer Serializer = new JsonPayloadSerializer();

    private sealed record Quote(string Symbol, decimal Value);

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2047)]
    [InlineData(2048)]
    [InlineData(1_000_000)]
    public void Raw_bytes_come_back(int size)
    {
        byte[] body = new byte[size];
        new Random(size).NextBytes(body);
        ReadOnlyMemory<byte> packed = Envelope.Pack(body);
        Assert.Equal(size + 1, packed.Length);
        Assert.True(Envelope.TryUnpack(packed, out ReadOnlySpan<byte> name, out ReadOnlyMemory<byte> back));
        Assert.True(name.IsEmpty);
        Assert.Equal(body, back.ToArray());
    }

    [Fact]
    public void The_callers_memory_is_copied_and_packed_bodies_do_not_overlap()
    {
        byte[] body = [1, 2, 3];
        ReadOnlyMemory<byte> first = Envelope.Pack(body);
        body[0] = 9;
        ReadOnlyMemory<byte> second = Envelope.Pack(body);
        Assert.Equal([0, 1, 2, 3], first.ToArray());
        Assert.Equal([0, 9, 2, 3], second.ToArray());
    }

    [Fact]
    public void Typed_messages_bear_their_types_name()
    {
        var quote = new Quote("AAPL", 26.6m);
        ReadOnlyMemory<byte> packed = Envelope.Pack(quote, Serializer);
        Assert.True(Envelope.TryUnpack(packed, out ReadOnlySpan<byte> name, out ReadOnlyMemory<byte> body));
        Assert.Equal(typeof(Quote).FullName, Encoding.UTF8.GetString(name));
        Assert.Equal(quote, Serializer.Deserialize<Quote>(body));
    }

    [Fact]
    public void Long_names_of_generic_types_come_back()
    {
        ReadOnlyMemory<byte> packed = Envelope.Pack(new Dictionary<string, List<int>> { ["a"] = [1] }, Serializer);
        Assert.True(Envelope.TryUnpack(packed, out ReadOnlySpan<byte> name, out _));
        Assert.True(name.Length > 0x80);
        Assert.Equal(typeof(Dictionary<string, List<int>>).FullName, Encoding.UTF8.GetString(name));
    }

    [Fact]
    public void Entry_points_by_name_and_number_are_apart_from_each_other_and_from_types()
    {
        string[] names = [.. new EntryAddress[] { "17", 17, -17, "System.String", new string('n', 200) }.Select(Unpack)];
        Assert.Equal(["@17", "#17", "#-17", "@System.String", "@" + new string('n', 200)], names);
        Assert.Throws<ArgumentException>(() => Envelope.Pack(default(EntryAddress), []));
        Assert.Throws<ArgumentException>(() => EntryAddress.Named(""));
        Assert.Throws<ArgumentOutOfRangeException>(() => EntryAddress.Named(new string('n', 201)));

        static string Unpack(EntryAddress entry)
        {
            Assert.True(Envelope.TryUnpack(Envelope.Pack(entry, [1, 2]), out ReadOnlySpan<byte> name, out ReadOnlyMemory<byte> body));
            Assert.Equal([1, 2], body.ToArray());
            return Encoding.UTF8.GetString(name);
        }
    }

    [Fact]
    public void A_serializer_that_sends_does_not_spoil_the_message_around_it()
    {
        var nested = new Nested();
        ReadOnlyMemory<byte> packed = Envelope.Pack(new Quote("X", 1), nested);
        Assert.True(Envelope.TryUnpack(packed, out ReadOnlySpan<byte> name, out ReadOnlyMemory<byte> body));
        Assert.Equal(typeof(Quote).FullName, Encoding.UTF8.GetString(name));
        Assert.Equal("""{"Symbol":"X","Value":1}""", Encoding.UTF8.GetString(body.Span));
    }

    private sealed class Nested : IPayloadSerializer
    {
        public void Serialize<T>(T value, System.Buffers.IBufferWriter<byte> output)
        {
            Envelope.Pack("inner", Serializer);
            Serializer.Serialize(value, output);
        }

        public T Deserialize<T>(ReadOnlyMemory<byte> body) => throw new NotSupportedException();
    }

    [Fact]
    public void Random_and_truncated_bytes_are_refused_or_read_and_never_throw()
    {
        var random = new Random(1);
        ReadOnlyMemory<byte> good = Envelope.Pack(new Quote("AAPL", 1), Serializer);
        int refused = 0;
        for (int i = 0; i < 20_000; i++)
        {
            byte[] bytes = i % 2 == 0 ? new byte[random.Next(0, 12)] : good[..random.Next(good.Length)].ToArray();
            if (i % 2 == 0)
            {
                random.NextBytes(bytes);
            }
            else if (bytes.Length > 0)
            {
                bytes[random.Next(Math.Min(4, bytes.Length))] = (byte)random.Next(256);
            }

            refused += Envelope.TryUnpack(bytes, out _, out _) ? 0 : 1;
        }

        Assert.True(refused > 5000);
        Assert.False(Envelope.TryUnpack(ReadOnlyMemory<byte>.Empty, out _, out _));
        Assert.False(Envelope.TryUnpack(new byte[] { 1, 0, 5 }, out _, out _));
        Assert.False(Envelope.TryUnpack(new byte[] { 1, 0xFF, 0xFF, 5 }, out _, out _));
        Assert.False(Envelope.TryUnpack(new byte[] { 2, 1, 65 }, out _, out _));
    }
}

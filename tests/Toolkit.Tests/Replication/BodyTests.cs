// What is written is read back, and bytes that are anything end in a FormatException at worst.
using Core.Groups;
using Core.Groups.Replication;

namespace Toolkit.Tests.Replication;

public sealed class BodyTests
{
    [Fact]
    public void WhatIsWrittenIsReadBack()
    {
        var writer = new BodyWriter(1);
        writer.Varint(0);
        writer.Varint(long.MaxValue);
        writer.Flag(true);
        writer.Int64(-5);
        writer.Text("grün");
        writer.Node(new NodeId("a", 17));
        writer.Blob([1, 2]);
        writer.Raw([3]);
        var reader = new BodyReader(writer.ToArray());
        Assert.Equal((0L, long.MaxValue, true, -5L), (reader.Varint(), reader.Varint(), reader.Flag(), reader.Int64()));
        Assert.Equal(("grün", new NodeId("a", 17)), (reader.Text(), reader.Node()));
        Assert.Equal([1, 2], reader.Blob().ToArray());
        Assert.False(reader.AtEnd);
        Assert.Equal([3], reader.Rest().ToArray());
        Assert.True(reader.AtEnd);
    }

    [Fact]
    public void AnyBytesEndInAFormatExceptionAtWorst()
    {
        var random = new Random(7);
        int refused = 0;
        for (int round = 0; round < 20_000; round++)
        {
            byte[] bytes = new byte[random.Next(12)];
            random.NextBytes(bytes);
            try
            {
                var reader = new BodyReader(bytes);
                reader.Varint();
                reader.Flag();
                reader.Text();
                reader.Node();
                reader.Blob();
            }
            catch (FormatException)
            {
                refused++;
            }
        }

        Assert.InRange(refused, 1, 20_000);
    }
}

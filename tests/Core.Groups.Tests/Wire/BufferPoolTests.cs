using Core.Groups.Wire;

namespace Core.Groups.Tests.Wire;

/// <summary>Buffers for frames: used again while there is traffic, and let go of when there is none.</summary>
public sealed class BufferPoolTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(65)]
    [InlineData(16 << 10)]
    [InlineData((4 << 20) + 1)]
    public void A_buffer_is_large_enough(int size)
    {
        var pool = new BufferPool();
        byte[] buffer = pool.Rent(size);
        Assert.InRange(buffer.Length, size, Math.Max(64, 2 * size));
        pool.Return(buffer);
        Assert.InRange(pool.Rent(size).Length, size, Math.Max(64, 2 * size));
    }

    [Fact]
    public void What_was_given_back_is_used_again_and_never_twice_at_once()
    {
        var pool = new BufferPool();
        byte[] first = pool.Rent(1000), second = pool.Rent(1000);
        Assert.NotSame(first, second);
        pool.Return(first);
        pool.Return(second);
        byte[] third = pool.Rent(1000), fourth = pool.Rent(600), fifth = pool.Rent(1000);
        Assert.Same(second, third);
        Assert.Same(first, fourth);
        Assert.NotSame(first, fifth);
        Assert.NotSame(second, fifth);
    }

    [Fact]
    public void What_is_not_needed_any_more_goes_and_what_is_needed_stays()
    {
        var pool = new BufferPool();
        byte[][] burst = [.. Enumerable.Range(0, 100).Select(_ => pool.Rent(1024))];
        foreach (byte[] buffer in burst) pool.Return(buffer);
        pool.Trim();
        Assert.Equal(100 * 1024, pool.Kept);      // they were in use until now

        byte[][] few = [pool.Rent(1024), pool.Rent(1024)];
        foreach (byte[] buffer in few) pool.Return(buffer);
        pool.Trim();
        Assert.Equal(2 * 1024, pool.Kept);      // so many were needed at once since
        pool.Trim();
        Assert.Equal(0, pool.Kept);
    }

    [Fact]
    public void What_is_not_of_its_sizes_is_not_kept()
    {
        var pool = new BufferPool();
        pool.Return(new byte[1000]);
        pool.Return(new byte[8 << 20]);
        pool.Return([]);
        Assert.Equal(0, pool.Kept);
    }
}

using Core.Groups.Hosting;

namespace Core.Groups.Tests.Hosting;

public sealed class PooledListTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(33)]
    [InlineData(5000)]
    public void What_was_added_is_there_in_order_and_an_empty_list_holds_nothing(int count)
    {
        var list = new PooledList<string>();
        var other = new PooledList<string>();
        for (int round = 0; round < 3; round++)
        {
            for (int i = 0; i < count; i++)
            {
                list.Add($"{i}");
                other.Add($"{count + i}");
            }

            list.AddRange(other);
            other.Clear();
            Assert.Equal(Enumerable.Range(0, 2 * count).Select(i => $"{i}"), list.Items.ToArray());
            Assert.Equal("0", list[0]);
            list.Clear();
            Assert.Equal(0, list.Count);
            Assert.True(list.Items.IsEmpty);
        }
    }

    [Fact]
    public void A_list_that_is_always_in_use_keeps_a_large_array_until_that_is_little_used()
    {
        const int Many = 5000, Enough = 16;
        var list = new PooledList<int>(isSteady: true);
        void Use(int count)
        {
            for (int i = 0; i < count; i++)
            {
                list.Add(i);
            }

            list.Clear();
        }

        Use(Many);
        int large = list.Capacity;
        Assert.True(large >= Many);
        for (int i = 1; i < Enough; i++)
        {
            Use(1);
        }

        Assert.Equal(large, list.Capacity);
        Use(Many);
        Assert.Equal(large, list.Capacity);
        for (int i = 0; i < Enough; i++)
        {
            Use(1);
        }

        Assert.Equal(0, list.Capacity);
        Use(1);
        Assert.InRange(list.Capacity, 1, 32);
    }
}

using Core.Groups.Hosting;

namespace Core.Groups.Tests.Hosting;

public sealed class SteadyListTests
{
    private const int Many = 5000;
    private static readonly TimeSpan Soon = TimeSpan.FromMilliseconds(1), Later = TimeSpan.FromSeconds(1);

    private TimeSpan _now;

    [Theory]
    [InlineData(0)]
    [InlineData(32)]
    [InlineData(33)]
    [InlineData(Many)]
    public void What_was_added_is_there_in_order_until_it_is_cleared(int count)
    {
        var list = new SteadyList<string>();
        for (int round = 0; round < 3; round++)
        {
            for (int i = 0; i < count; i++)
            {
                list.Add($"{round}.{i}");
            }

            Assert.Equal(count, list.Count);
            Assert.Equal(Enumerable.Range(0, count).Select(i => $"{round}.{i}"), list.Items.ToArray());
            list.Clear(TimeSpan.FromSeconds(round));
            Assert.True(list.Items.IsEmpty);
        }
    }

    [Fact]
    public void Room_that_is_used_now_and_then_stays_and_what_is_not_goes()
    {
        var list = new SteadyList<int>();
        Use(list, Many, Soon);
        int large = list.Capacity;
        Assert.True(large >= Many);
        for (int i = 0; i < 10; i++)
        {
            Use(list, 1, Later / 2);
            Use(list, Many, Later / 2);
        }

        Assert.Equal(large, list.Capacity);
        Use(list, 1, Later);
        Use(list, 100, Soon);
        Use(list, 1, Later);
        Assert.InRange(list.Capacity, 100, large / 4);
        Use(list, 1, Later);
        Assert.InRange(list.Capacity, 1, 32);
    }

    private void Use(SteadyList<int> list, int count, TimeSpan after)
    {
        _now += after;
        for (int i = 0; i < count; i++)
        {
            list.Add(i);
        }

        list.Clear(_now);
    }
}

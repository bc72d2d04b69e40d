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
}

using Core.Groups.Protocol;
using Xunit;

namespace Core.Groups.Tests.Ordering;

public sealed class GroupTableTests
{
    private readonly GroupTable<string> _table = new();

    [Fact]
    public void Enumeration_is_in_the_order_of_the_ids()
    {
        foreach (ulong id in new ulong[] { 5, 1, 9, 3 })
        {
            _table.Add(Id(id), $"g{id}");
        }

        Assert.Equal(["g1", "g3", "g5", "g9"], _table);
    }

    [Fact]
    public void What_was_removed_is_not_found_though_it_was_the_last_one_found()
    {
        _table.Add(Id(1), "g1");
        Assert.Equal("g1", _table.Find(Id(1)));
        Assert.True(_table.Remove(Id(1), out string? removed));
        Assert.Equal("g1", removed);
        Assert.Null(_table.Find(Id(1)));
        _table.Add(Id(1), "again");
        Assert.Equal("again", _table.Find(Id(1)));
    }

    [Fact]
    public void Of_several_that_match_the_lowest_id_counts()
    {
        _table.Add(Id(7), "same");
        _table.Add(Id(2), "same");
        _table.Add(Id(4), "other");
        Assert.Same(_table.Find(Id(2)), _table.FindLowest(g => g == "same"));
        Assert.Null(_table.FindLowest(g => g == "none"));
    }

    private static GroupId Id(ulong low) => new(0, low);
}

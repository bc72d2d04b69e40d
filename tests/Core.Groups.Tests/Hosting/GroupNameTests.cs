namespace Core.Groups.Tests.Hosting;

public sealed class GroupNameTests
{
    [Theory]
    [InlineData("/g", null)]
    [InlineData("/analysis/technology", null)]
    [InlineData("/a b/ü.1", null)]
    [InlineData("@NewYork:/analysis/technology", "NewYork")]
    [InlineData("@New York:/x", "New York")]
    public void A_path_perhaps_of_a_site_is_a_name(string name, string? site)
    {
        GroupName.Validate(name);
        Assert.Equal(site, GroupName.SiteOf(name));
    }

    [Theory]
    [InlineData("")]
    [InlineData("g")]
    [InlineData("/")]
    [InlineData("/a/")]
    [InlineData("//a")]
    [InlineData("/a/ /b")]
    [InlineData("/a/../b")]
    [InlineData("/./b")]
    [InlineData("/a\n")]
    [InlineData("/\ud800")]
    [InlineData("@NewYork")]
    [InlineData("@NewYork:")]
    [InlineData("@NewYork:g")]
    [InlineData("@:/g")]
    [InlineData("@New/York:/g")]
    [InlineData("@ NewYork:/g")]
    public void Anything_else_is_not(string name)
    {
        Assert.False(GroupName.IsValid(name));
        Assert.Contains("not a group's name", Assert.Throws<ArgumentException>(() => GroupName.Validate(name)).Message);
    }

    [Fact]
    public void Names_are_bounded()
    {
        Assert.True(GroupName.IsValid("/" + new string('x', GroupName.MaximumLength - 1)));
        Assert.False(GroupName.IsValid("/" + new string('x', GroupName.MaximumLength)));
        Assert.False(GroupName.IsValid("/" + new string('ü', GroupName.MaximumLength / 2 + 1)));
    }

    [Fact]
    public void An_id_is_read_as_it_was_written()
    {
        var id = new GroupId(0x0123456789abcdef, 0xf);
        Assert.Equal(id, GroupId.Parse(id.ToString()));
        Assert.Equal(id, GroupId.Parse(id.ToString().ToUpperInvariant()));
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("0123456789abcdef000000000000000")]
    [InlineData("0123456789abcdef0000000000000000f")]
    [InlineData("0123456789abcdef 00000000000000f")]
    [InlineData("0123456789abcdefg00000000000000f")]
    [InlineData("+123456789abcdef000000000000000f")]
    public void What_is_no_id_is_refused(string? text) => Assert.False(GroupId.TryParse(text, out _));
}

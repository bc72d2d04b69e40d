namespace Core.Groups.Tests.Hosting;

public sealed class GroupNodeOptionsTests
{
    private static GroupNodeOptions Good() => new() { Name = "a", Seeds = ["127.0.0.1:7101", "b:7102"] };

    [Fact]
    public void Good_options_pass()
    {
        Good().Validate();
        new GroupNodeOptions { Name = "a", Listen = "[::]:7101", Advertise = "a.example:7101", ClusterKey = new byte[32], PreviousClusterKey = new byte[16] }.Validate();
    }

    [Fact]
    public void Who_allows_it_may_listen_anywhere_without_a_key() =>
        new GroupNodeOptions { Name = "a", Listen = "0.0.0.0:7101", AllowInsecure = true }.Validate();

    [Theory]
    [InlineData(0.5, 1)]
    [InlineData(2, 1)]
    [InlineData(20, 5)]
    public void Who_allows_for_long_silences_allows_for_slow_answers(double suspectAfter, double answer) =>
        Assert.Equal(TimeSpan.FromSeconds(answer), new GroupNodeOptions { SuspectAfter = TimeSpan.FromSeconds(suspectAfter) }.AnswerTime);

    public static TheoryData<string, Action<GroupNodeOptions>> Bad => new()
    {
        { "Name", o => o.Name = " " },
        { "Name", o => o.Name = new string('x', 201) },
        { "Cluster", o => o.Cluster = "" },
        { "Site", o => o.Site = null! },
        { "Listen", o => o.Listen = "7101" },
        { "Listen", o => o.Listen = "localhost:x" },
        { "Listen", o => o.Listen = null! },
        { "Listen", o => o.Listen = "0.0.0.0:7101" },
        { "Listen", o => o.Listen = "[::]:0" },
        { "Listen", o => o.Listen = "192.0.2.1:7101" },
        { "Advertise", o => o.Advertise = "a:0" },
        { "Seeds", o => o.Seeds = ["a:0"] },
        { "Seeds", o => o.Seeds = ["a:70000"] },
        { "Seeds", o => o.Seeds = ["a:1", "a:1"] },
        { "Seeds", o => o.Seeds = ["127.0.0.1:1", "LocalHost:1"] },
        { "Seeds", o => o.Seeds = null! },
        { "ClusterKey", o => o.ClusterKey = new byte[15] },
        { "PreviousClusterKey", o => o.PreviousClusterKey = new byte[16] },
        { "Weight", o => o.Weight = -1 },
        { "MinimumPrimaryWeight", o => o.MinimumPrimaryWeight = -1 },
        { "Heartbeat", o => o.Heartbeat = TimeSpan.Zero },
        { "SuspectAfter", o => o.SuspectAfter = TimeSpan.FromMilliseconds(300) },
        { "MaximumMessageSize", o => o.MaximumMessageSize = 0 },
        { "CreditWindow", o => o.CreditWindow = 100 },
        { "Serializer", o => o.Serializer = null! },
    };

    [Theory]
    [MemberData(nameof(Bad))]
    public void A_bad_option_is_named(string option, Action<GroupNodeOptions> spoil)
    {
        GroupNodeOptions options = Good();
        spoil(options);
        var error = Assert.Throws<ArgumentException>(options.Validate);
        Assert.Equal(option, error.ParamName);
        Assert.StartsWith($"GroupNodeOptions.{option} must", error.Message.Replace(" needs", " must"));
    }
}

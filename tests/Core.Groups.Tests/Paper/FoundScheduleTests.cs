// Schedules that random search has found to break something once, shrunk. What was wrong stands with each.
namespace Core.Groups.Tests.Paper;

public sealed class FoundScheduleTests
{
    [Theory]
    // A joiner got its state right before a configuration change and did not say so: the others held it for stateless ever after.
    [InlineData("abc", "g=ab h=ab", "join c h, dl ca, dl ac, crash b, dl bc, dl ca, dl ac, dl ca, start b, label a Safe")]
    public void IsKept(string names, string groups, string acts) => Assert.Empty(new Schedule(names, groups, acts).Run());
}

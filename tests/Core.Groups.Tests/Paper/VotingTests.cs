// No two primaries, whatever is cut off when: the rule of section 6 in many random histories, and what becomes of it
// when a part is taken away.
using Core.Groups.Protocol;

namespace Core.Groups.Tests.Paper;

public sealed class VotingTests
{
    private const int Histories = 4000, Steps = 60;

    [Theory]
    [InlineData(true), InlineData(false)]
    public void NoTwoPrimaries(bool hasElectorate)
    {
        int formed = 0;
        for (int seed = 0; seed < Histories; seed++)
        {
            var world = new VotingWorld(seed, hasElectorate, WeakRules.None, goodbyes: false);
            string? wrong = world.Run(Steps);
            Assert.True(wrong is null, $"Seed {seed}: {wrong}");
            formed += world.Formed;
        }
        Assert.True(formed > Histories, "Hardly any primary formed: the histories exercise nothing.");
    }

    [Theory]
    [InlineData(true, 1, false), InlineData(false, 1, false)]
    [InlineData(true, 1, true), InlineData(false, 1, true)]      // some disks are lost and replaced by empty ones
    [InlineData(true, 0.5, true), InlineData(false, 0.5, true)]  // some nodes have none
    public void NoTwoPrimariesWithStores(bool hasElectorate, double stores, bool losesDisks)
    {
        int formed = 0;
        for (int seed = 0; seed < Histories; seed++)
        {
            var world = new VotingWorld(seed, hasElectorate, WeakRules.None, goodbyes: false, stores, losesDisks);
            string? wrong = world.Run(Steps);
            Assert.True(wrong is null, $"Seed {seed}: {wrong}");
            formed += world.Formed;
        }
        Assert.True(formed > Histories, "Hardly any primary formed: the histories exercise nothing.");
    }

    [Theory]
    [InlineData(nameof(WeakRules.ToldBeforeStored), true, 1)]
    [InlineData(nameof(WeakRules.ToldBeforeStored), false, 1)]
    [InlineData(nameof(WeakRules.NoAttempts), true, 1)]
    [InlineData(nameof(WeakRules.VotesByName), true, 0.5)]
    [InlineData(nameof(WeakRules.StoresAreProvenDead), true, 0.5)]
    public void AWeakerRuleForksWithStores(string rule, bool hasElectorate, double stores) => Assert.True(
        Enumerable.Range(0, Histories).Any(seed =>
            new VotingWorld(seed, hasElectorate, Enum.Parse<WeakRules>(rule), goodbyes: false, stores, losesDisks: stores < 1).Run(Steps) is not null),
        $"{rule} is not noticed.");

    [Theory]
    [InlineData(nameof(WeakRules.NoAttempts), true)]
    [InlineData(nameof(WeakRules.NoAttempts), false)]
    [InlineData(nameof(WeakRules.VotesByName), true)]
    [InlineData(nameof(WeakRules.VotesByName), false)]
    [InlineData(nameof(WeakRules.SomeDeadSuffice), true)]
    [InlineData(nameof(WeakRules.StrangersDoNotAdopt), false)]
    [InlineData(nameof(WeakRules.DropsAndDoesNotAdopt), false, 20_800)]      // rare: the first is seed 20,887
    [InlineData(nameof(WeakRules.MinimumCountsLeavers), true)]
    [InlineData(nameof(WeakRules.NoMinimum), true)]
    public void AWeakerRuleForks(string rule, bool hasElectorate, int first = 0) =>
        Assert.True(AnyForks(hasElectorate, Enum.Parse<WeakRules>(rule), goodbyes: false, first), $"{rule} is not noticed.");

    [Theory]
    [InlineData(true), InlineData(false)]
    public void AGoodbyeThatCountsAsAVoteForks(bool hasElectorate) => Assert.True(AnyForks(hasElectorate, WeakRules.None, goodbyes: true));

    private static bool AnyForks(bool hasElectorate, WeakRules weak, bool goodbyes, int first = 0) =>
        Enumerable.Range(first, Histories).Any(seed => new VotingWorld(seed, hasElectorate, weak, goodbyes).Run(Steps) is not null);
}

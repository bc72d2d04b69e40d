namespace Toolkit.Tests.ReplicatedData;

public sealed class SerializabilityTests
{
    [Fact]
    public void What_some_order_explains_is_passed() => Assert.Null(SerializabilityChecker.Check(
    [
        new("t1", new Dictionary<string, long> { ["x"] = 0, ["y"] = 0 }, ["x"], 1),
        new("t2", new Dictionary<string, long> { ["x"] = 1 }, ["x", "y"], 2),
        new("audit", new Dictionary<string, long> { ["x"] = 2, ["y"] = 2 }, [], 3),
        new("late", new Dictionary<string, long> { ["x"] = 1, ["y"] = 0 }, [], 4), // it read between t1 and t2
    ]));

    [Fact]
    public void A_lost_update_is_a_circle() => Assert.Equal(
        "no order of the transactions: t1 before t2 before t1",
        SerializabilityChecker.Check([new("t1", new Dictionary<string, long> { ["x"] = 0 }, ["x"], 1), new("t2", new Dictionary<string, long> { ["x"] = 0 }, ["x"], 2)]));

    [Fact]
    public void Write_skew_is_a_circle() => Assert.NotNull(SerializabilityChecker.Check(
    [
        new("t1", new Dictionary<string, long> { ["x"] = 0, ["y"] = 0 }, ["x"], 1),
        new("t2", new Dictionary<string, long> { ["x"] = 0, ["y"] = 0 }, ["y"], 2),
    ]));

    [Fact]
    public void A_read_of_half_a_transaction_is_a_circle() => Assert.NotNull(SerializabilityChecker.Check(
    [
        new("t1", new Dictionary<string, long>(), ["x", "y"], 1),
        new("audit", new Dictionary<string, long> { ["x"] = 1, ["y"] = 0 }, [], 2),
    ]));
}

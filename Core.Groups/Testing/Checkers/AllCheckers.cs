// The judges of a run: every property, one checker each (invariants 1-7 and 9 of the protocol, from the traces alone).
namespace Core.Groups.Testing.Checkers;

/// <summary>Runs every checker on a history. Thread-safe.</summary>
public static class AllCheckers
{
    /// <summary>All checkers.</summary>
    public static IReadOnlyList<IChecker> For(CheckOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        return
        [
            new MessageChecker(options),
            new DeliveryConfigurationChecker(),
            new ConfigurationChecker(),
            new PrimaryChecker(options),
            new SelfDeliveryChecker(options),
            new AtomicityChecker(options),
            new CausalOrderChecker(),
            new FifoChecker(),
            new TotalOrderChecker(),
            new TotalOrderHoleChecker(),
            new SafeChecker(options),
            new ViewChecker(options),
            new VirtualSynchronyChecker(options),
            new GroupBroadcastChecker(),
            new StateTransferChecker(options),
            new FilterChecker(options),
            new QuietEndChecker(options),
        ];
    }

    /// <summary>
    /// What is wrong with a history; empty if nothing is. A run of 10^6 events takes seconds.
    /// </summary>
    public static IReadOnlyList<Violation> Run(History history, CheckOptions options)
    {
        ArgumentNullException.ThrowIfNull(history);
        return [.. For(options).SelectMany(checker => checker.Check(history).Take(options.MaximumViolations))];
    }
}

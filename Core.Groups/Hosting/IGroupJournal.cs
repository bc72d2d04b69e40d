// What a member of a logged group is given, for those that write it down: views, messages, states.
// Follows: "Exploiting virtual synchrony", section 3.6 (views on stable storage); Toolkit.Recovery is the one that implements it.
namespace Core.Groups;

/// <summary>A message as a journal keeps it.</summary>
/// <param name="From">Who sent it.</param>
/// <param name="Order">The primitive.</param>
/// <param name="Id">The id of the message.</param>
/// <param name="Body">The body in its envelope: good for <see cref="IJournaledMember.ReplayAsync"/>, and to nobody else. Never reused.</param>
/// <param name="IsRequest">Whether the sender waited for an answer.</param>
public readonly record struct JournalMessage(NodeId From, Order Order, MessageId Id, ReadOnlyMemory<byte> Body, bool IsRequest);

/// <summary>
/// Sees what one member of a group is given, in delivery order, before the application does (<see cref="GroupOptions.Journal"/>).
/// Called one at a time with the handlers. What it throws ends the membership: who cannot write down must not pretend.
/// </summary>
public interface IGroupJournal
{
    /// <summary>A view. It is used (shown, and followed by messages) when this has completed. The first ones of a joiner come before its state.</summary>
    ValueTask OnViewAsync(View view);

    /// <summary>A message. Its handler runs when this has completed.</summary>
    ValueTask OnMessageAsync(JournalMessage message);

    /// <summary>
    /// A change of the group's configuration data. It is told to the application when this has completed. A joiner is told of every
    /// entry before its state.
    /// </summary>
    ValueTask OnConfiguredAsync(ConfigurationEntry entry);

    /// <summary>
    /// A question of a member to the journals of all (<see cref="ProcessGroup.AskJournalsAsync"/>), at its place among the messages.
    /// Deliveries go on when this has completed; the answer may come later.
    /// </summary>
    /// <param name="id">The id of the message that asks.</param>
    /// <param name="question">What was asked.</param>
    /// <param name="answer">Called once, on any thread: the answer, or null and what went wrong.</param>
    ValueTask OnQuestionAsync(MessageId id, ReadOnlyMemory<byte> question, Action<ReadOnlyMemory<byte>, string?> answer);

    /// <summary>What the joiners of the present view are given: from it <see cref="LoadAsync"/> makes the application's state as it is now.</summary>
    /// <param name="member">The application; to be used inside the calls of this interface only.</param>
    /// <returns>Read later, while the group goes on.</returns>
    ValueTask<StateSnapshot> GiveAsync(IJournaledMember member);

    /// <summary>
    /// The membership begins: gives the application its state, by <see cref="IJournaledMember.LoadAsync"/> and what is to be replayed. When the
    /// member that gives fails the reading throws, and this is called again with what another one gives.
    /// </summary>
    /// <param name="given">From <see cref="GiveAsync"/> of another member; null: this member is the group's first.</param>
    /// <param name="member">The application; to be used inside the calls of this interface only.</param>
    ValueTask LoadAsync(IAsyncEnumerable<ReadOnlyMemory<byte>>? given, IJournaledMember member);
}

/// <summary>The application of a member as its journal reaches it.</summary>
public interface IJournaledMember
{
    /// <summary>The application's state as it is now, as bytes that <see cref="LoadAsync"/> takes. It may be read later.</summary>
    ValueTask<StateSnapshot> SaveAsync();

    /// <summary>Replaces the application's state. Null: it begins empty (<see cref="StateTransfer.Initialize"/>).</summary>
    ValueTask LoadAsync(IAsyncEnumerable<ReadOnlyMemory<byte>>? state);

    /// <summary>
    /// Shows the application a view again (<see cref="GroupOptions.OnView"/>). A view without this node mutes a replica: what it multicasts goes nowhere.
    /// </summary>
    /// <param name="view">As it was written down, or the present one at the end of a replay.</param>
    ValueTask ShowAsync(View view);

    /// <summary>Tells the application again of an entry of the group's configuration data (<see cref="GroupOptions.OnConfigured"/>).</summary>
    ValueTask ConfigureAsync(ConfigurationEntry entry);

    /// <summary>Gives the application a message again. A request is answered to nobody.</summary>
    /// <param name="message">What was written down.</param>
    /// <param name="view">The view in which it was delivered.</param>
    ValueTask ReplayAsync(JournalMessage message, View view);
}

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
    /// A question of a member to the journals of all (<see cref="ProcessGroup.AskJournalsAsync"/>), at its place among the messages.
    /// Deliveries go on when this has completed; the answer may come later.
    /// </summary>
    /// <param name="question">What was asked.</param>
    /// <param name="answer">Called once, on any thread: the answer, or null and what went wrong.</param>
    ValueTask OnQuestionAsync(ReadOnlyMemory<byte> question, Action<ReadOnlyMemory<byte>, string?> answer);

    /// <summary>What a joiner is given: the application's state, as it is now, in the journal's wrapping.</summary>
    ReadOnlyMemory<byte> Wrap(ReadOnlyMemory<byte> state);

    /// <summary>The membership begins: gives the application its state, by <see cref="IJournaledMember.LoadAsync"/> once and what is to be replayed.</summary>
    /// <param name="wrapped">From <see cref="Wrap"/> of another member; null: this member is the group's first.</param>
    /// <param name="member">The application; to be used inside the calls of this interface only.</param>
    ValueTask LoadAsync(ReadOnlyMemory<byte>? wrapped, IJournaledMember member);
}

/// <summary>The application of a member as its journal reaches it.</summary>
public interface IJournaledMember
{
    /// <summary>The application's state, as bytes that <see cref="LoadAsync"/> takes.</summary>
    ValueTask<ReadOnlyMemory<byte>> SaveAsync();

    /// <summary>Replaces the application's state. Null: it begins empty (<see cref="StateTransfer.Initialize"/>).</summary>
    ValueTask LoadAsync(ReadOnlyMemory<byte>? state);

    /// <summary>Gives the application a message again. A request is answered to nobody.</summary>
    /// <param name="message">What was written down.</param>
    /// <param name="view">The view in which it was delivered.</param>
    ValueTask ReplayAsync(JournalMessage message, View view);
}

// Judges whether a history of concurrent calls is linearizable: some order of the calls explains all answers, in which a call
// that was answered before another was made comes before it (Herlihy and Wing).
// Follows: Wing and Gong, "Testing and verifying concurrent objects" (1993), and Lowe, "Testing for linearizability" (2017):
// a pair of (calls taken so far, state) that was seen before is not tried again. Beyond them: a call whose answer fits and that changes
// nothing is taken at once and for good, for any order that takes it later can take it here; so reads cost no search.
namespace Core.Groups.Testing.Histories;

/// <summary>Checks histories of one object. Objects that do not touch each other are checked one by one: that is enough, and faster.</summary>
internal static class LinearizabilityChecker
{
    private const int MostStates = 1_000_000;

    /// <summary>
    /// Null if the history is linearizable; else a sentence: with the calls that no order explains, or, after <paramref name="mostStates"/>
    /// steps of the search, that it is undecided.
    /// </summary>
    /// <remarks>Calls without an answer may be taken at any place after their start, or left out.</remarks>
    public static string? Check<TState, TCall>(ISequentialModel<TState, TCall> model, IReadOnlyList<TimedCall<TCall>> history, int mostStates = MostStates)
    {
        var search = new Search<TState, TCall>(model, history);
        return search.Run(mostStates) switch
        {
            true => null,
            false => search.Describe(),
            null => $"undecided: {mostStates} states of {history.Count} calls have not shown whether an order explains them",
        };
    }

    /// <summary>The start or the end of a call, in the list of those that are not yet taken.</summary>
    private sealed class Entry(int call, bool isStart)
    {
        public readonly int Call = call;
        public readonly bool IsStart = isStart;
        public Entry? Match; // of a start: its end
        public Entry? Before;
        public Entry? After;
    }

    private sealed class Search<TState, TCall>
    {
        private readonly ISequentialModel<TState, TCall> _model;
        private readonly IReadOnlyList<TimedCall<TCall>> _history;
        private readonly Entry _head = new(-1, false);
        private readonly HashSet<(BitSet Taken, TState State)> _seen = [];
        private readonly Stack<(Entry Start, TState Before, bool IsChoice)> _taken = [];
        private BitSet _takenSet;
        private TState _state;
        private int _answersLeft;
        private int _mostTaken = -1;
        private int _stuckAt = -1;

        public Search(ISequentialModel<TState, TCall> model, IReadOnlyList<TimedCall<TCall>> history)
        {
            (_model, _history, _state) = (model, history, model.Initial);
            _takenSet = new BitSet(history.Count);
            _answersLeft = history.Count(c => c.IsAnswered);
            var points = new List<(long Time, int Order, Entry Entry)>(2 * history.Count);
            for (int i = 0; i < history.Count; i++)
            {
                var start = new Entry(i, true) { Match = new Entry(i, false) };
                points.Add((history[i].Start, 0, start)); // at one time, starts come first: the calls then overlap
                points.Add((history[i].End, 1, start.Match));
            }

            Entry last = _head;
            foreach ((_, _, Entry entry) in points.OrderBy(p => p.Time).ThenBy(p => p.Order))
            {
                (last.After, entry.Before) = (entry, last);
                last = entry;
            }
        }

        /// <summary>Null: undecided.</summary>
        public bool? Run(int mostStates)
        {
            TakeWhatChangesNothing();
            for (Entry at = _head.After!; _answersLeft > 0;)
            {
                if (at.IsStart)
                {
                    at = TryChoose(at) ? _head.After! : at.After!;
                    if (_seen.Count > mostStates) return null;
                    continue;
                }

                // The end of a call that was not taken: something chosen before was wrong.
                if (_taken.Count > _mostTaken) (_mostTaken, _stuckAt) = (_taken.Count, at.Call);
                if (GiveBackChoice() is not { } wrong) return false;
                at = wrong.After!;
            }

            return true;
        }

        // False: it does not fit here, or has led nowhere before.
        private bool TryChoose(Entry at)
        {
            TimedCall<TCall> call = _history[at.Call];
            if (!_model.TryStep(_state, call.Call, call.IsAnswered, out TState next)) return false;
            Take(at, next, isChoice: true);
            TakeWhatChangesNothing();
            if (_seen.Add((_takenSet, _state))) return true;
            GiveBackChoice();
            return false;
        }

        private void TakeWhatChangesNothing()
        {
            for (Entry? at = _head.After; at is { IsStart: true };)
            {
                TimedCall<TCall> call = _history[at.Call];
                bool isFree = call.IsAnswered && _model.TryStep(_state, call.Call, answered: true, out TState next) && EqualityComparer<TState>.Default.Equals(next, _state);
                if (isFree) Take(at, _state, isChoice: false);
                at = isFree ? _head.After : at.After; // its end may have kept others from being next
            }
        }

        private void Take(Entry start, TState next, bool isChoice)
        {
            _taken.Push((start, _state, isChoice));
            _takenSet = _takenSet.With(start.Call);
            _state = next;
            _answersLeft -= _history[start.Call].IsAnswered ? 1 : 0;
            Lift(start);
        }

        // Undoes the last choice and all that followed from it. Null: nothing was chosen.
        private Entry? GiveBackChoice()
        {
            while (_taken.TryPop(out var last))
            {
                Unlift(last.Start);
                _takenSet = _takenSet.Without(last.Start.Call);
                _state = last.Before;
                _answersLeft += _history[last.Start.Call].IsAnswered ? 1 : 0;
                if (last.IsChoice) return last.Start;
            }

            return null;
        }

        public string Describe()
        {
            TimedCall<TCall> stuck = _history[_stuckAt];
            IEnumerable<string> around = _history.Where(c => c.Start <= stuck.End && c.End >= stuck.Start).OrderBy(c => c.Start).Take(20)
                .Select(c => $"  {c.Client} [{c.Start}, {(c.IsAnswered ? c.End : "never answered")}] {c.Call}");
            return $"no order of the calls explains the answer to {stuck.Client}'s {stuck.Call}; at the same time:\n{string.Join('\n', around)}";
        }

        private static void Lift(Entry start)
        {
            Unlink(start);
            Unlink(start.Match!);
        }

        private static void Unlift(Entry start)
        {
            Link(start.Match!);
            Link(start);
        }

        private static void Unlink(Entry entry)
        {
            entry.Before!.After = entry.After;
            if (entry.After is { } after) after.Before = entry.Before;
        }

        private static void Link(Entry entry)
        {
            entry.Before!.After = entry;
            if (entry.After is { } after) after.Before = entry;
        }
    }

    /// <summary>A set of calls, compared by value.</summary>
    private readonly struct BitSet(ulong[] words) : IEquatable<BitSet>
    {
        private readonly ulong[] _words = words;

        public BitSet(int size) : this(new ulong[(size + 63) / 64]) { }

        public BitSet With(int bit) => Flip(bit);
        public BitSet Without(int bit) => Flip(bit);
        public bool Equals(BitSet other) => _words.AsSpan().SequenceEqual(other._words);
        public override bool Equals(object? obj) => obj is BitSet other && Equals(other);

        public override int GetHashCode()
        {
            var hash = new HashCode();
            foreach (ulong word in _words) hash.Add(word);
            return hash.ToHashCode();
        }

        private BitSet Flip(int bit)
        {
            ulong[] words = [.. _words];
            words[bit / 64] ^= 1UL << (bit % 64);
            return new BitSet(words);
        }
    }
}

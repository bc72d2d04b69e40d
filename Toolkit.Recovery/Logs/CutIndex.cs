// Where the cuts of a log are, and from which one on the log is kept for members that are down.
// Keeps: what is kept is bounded; while nobody is down it reaches back to the checkpoint before the last.
using System.Collections.Immutable;
using Core.Groups;

namespace Toolkit.Recovery.Logs;

/// <summary>A cut in a log.</summary>
/// <param name="View">The view in which it is.</param>
/// <param name="Point">Which one.</param>
/// <param name="Record">The number of the first record behind it.</param>
/// <param name="Bytes">The bytes of records before it, counted from anywhere.</param>
internal readonly record struct LoggedCut(LoggedView View, CutPoint Point, long Record, long Bytes);

/// <summary>The cuts from the first that is kept to the last, in order.</summary>
internal sealed class CutIndex
{
    private readonly List<LoggedCut> _cuts = [];

    /// <summary>The oldest cut; null: there is none.</summary>
    public LoggedCut? First => _cuts.Count > 0 ? _cuts[0] : null;

    /// <summary>The newest cut.</summary>
    public LoggedCut? Last => _cuts.Count > 0 ? _cuts[^1] : null;

    public void Add(LoggedCut cut) => _cuts.Add(cut);

    public void Clear() => _cuts.Clear();

    public LoggedCut? Find(CutPoint point) => _cuts.FindIndex(c => c.Point == point) is >= 0 and var at ? _cuts[at] : null;

    /// <summary>Forgets what need not be kept.</summary>
    /// <param name="before">The first record behind the checkpoint before the last: what follows it is kept in any case.</param>
    /// <param name="bytes">How many bytes are behind all cuts, counted as they are.</param>
    /// <param name="most">So many bytes are kept at most.</param>
    public void Trim(long before, long bytes, long most)
    {
        ImmutableArray<NodeId> present = _cuts[^1].View.Members;
        bool isSomebodyDown = _cuts.Exists(c => c.View.Members.Any(m => present.All(p => p.Name != m.Name)));
        int gone = isSomebodyDown ? 0 : _cuts.FindIndex(c => c.Record >= before);
        while (gone < _cuts.Count - 1 && bytes - _cuts[gone].Bytes > most) gone++;
        _cuts.RemoveRange(0, Math.Max(0, gone));
    }
}

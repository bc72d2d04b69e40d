namespace Toolkit.Recovery.Logs;

/// <summary>
/// An instant that all members of a group share: a view, or a place of a GBCAST in it. Members may have delivered messages in different orders
/// where the primitives allow it, but at a cut they have delivered the same ones; so what follows a cut in one log can follow it in another.
/// </summary>
/// <param name="ViewId">The id of the view.</param>
/// <param name="Number">0: where the view begins; then the GBCASTs that were marked in it, counted.</param>
internal readonly record struct CutPoint(string ViewId, long Number)
{
    /// <summary>The cut behind a record of a log; the present one if it is none.</summary>
    public CutPoint After(ReadOnlyMemory<byte> record) => record.Span[0] switch
    {
        LogFormat.ViewRecord => new CutPoint(LogFormat.DecodeView(record).Id, 0),
        LogFormat.CutRecord => this with { Number = Number + 1 },
        _ => this,
    };
}

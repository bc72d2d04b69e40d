// What is read from logs, on its way to the application.
using System.Collections.Immutable;
using Core.Groups;
using Toolkit.Recovery.Logs;

namespace Toolkit.Recovery;

/// <summary>Gives an application its state and what followed it, in the views of then.</summary>
/// <param name="member">The application.</param>
/// <param name="present">The view in which it is now.</param>
internal sealed class Replay(IJournaledMember member, View present) : ILogReader
{
    private View? _shown;

    /// <summary>The messages and changes of the configuration data that were given.</summary>
    public long Records { get; private set; }

    public async ValueTask OnStateAsync(IAsyncEnumerable<ReadOnlyMemory<byte>>? state, StatePlace place)
    {
        await ShowAsync(Follow(present, [], place.View)).ConfigureAwait(false);
        foreach ((string key, string value) in place.Configuration) await member.ConfigureAsync(new ConfigurationEntry(key, value)).ConfigureAwait(false);
        await member.LoadAsync(state).ConfigureAwait(false);
    }

    public async ValueTask OnRecordAsync(ReadOnlyMemory<byte> record)
    {
        switch (record.Span[0])
        {
            case LogFormat.ViewRecord:
                await ShowAsync(Follow(present, _shown!.Members, LogFormat.DecodeView(record))).ConfigureAwait(false);
                break;
            case LogFormat.MessageRecord:
                Records++;
                await member.ReplayAsync(LogFormat.DecodeMessage(record), _shown!).ConfigureAwait(false);
                break;
            case LogFormat.ConfigurationRecord:
                Records++;
                (string key, string? value) = LogFormat.DecodeConfiguration(record);
                await member.ConfigureAsync(new ConfigurationEntry(key, value)).ConfigureAwait(false);
                break;
        }
    }

    /// <summary>The application is where the others are: who was there then and is gone has left.</summary>
    public ValueTask EndAsync() => ShowAsync(present with { Joined = [.. present.Members.Except(_shown!.Members)], Left = [.. _shown.Members.Except(present.Members)] });

    /// <summary>A view as the log or the restart makes it follow on another one.</summary>
    public static View Follow(View present, ImmutableArray<NodeId> before, LoggedView view) => new(
        present.Group, present.GroupName, view.Number, view.Id, view.Members, [.. view.Members.Except(before)], [.. before.Except(view.Members)], IsPrimary: true);

    private ValueTask ShowAsync(View view)
    {
        _shown = view;
        return member.ShowAsync(view);
    }
}

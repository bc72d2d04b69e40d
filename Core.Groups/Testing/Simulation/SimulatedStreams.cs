// States that the scripted application gives and takes in pieces.
using Core.Groups.Protocol;
using Core.Groups.Protocol.Groups;

namespace Core.Groups.Testing.Simulation;

internal sealed class SimulatedStreams(ApplicationSeat seat)
{
    private readonly SimulatedProcess process = seat.Process;
    private readonly SimulationRandom random = seat.Random;
    /// <summary>Of the states that this application gives in pieces, what is still to be read.</summary>
    private readonly Dictionary<long, ReadOnlyMemory<byte>> snapshots = [];
    private readonly Dictionary<GroupId, PieceAssembly> incoming = [];

    public void Add(long token, ReadOnlyMemory<byte> whole) => snapshots.Add(token, whole);

    public void OnEnd(long token) => snapshots.Remove(token);

    public void OnRead(long token) => process.After(random.Between(TimeSpan.Zero, TimeSpan.FromMilliseconds(2)), () =>
    {
        if (!snapshots.TryGetValue(token, out ReadOnlyMemory<byte> rest)) return;
        bool fails = random.Chance(seat.Cluster.Options.Application.StateFailureChance / 20);
        ReadOnlyMemory<byte>? piece = null;
        if (!fails)
        {
            piece = rest[..Math.Min(rest.Length, random.Between(1, StateStreams.PieceSize))];
            snapshots[token] = rest[piece.Value.Length..];
        }
        bool isLast = piece?.Length == rest.Length;
        if (fails || isLast) snapshots.Remove(token);
        process.Call(now => process.Machine.StateRead(now, token, piece, isLast));
    });

    /// <returns>The whole state, when it is here.</returns>
    public ReadOnlyMemory<byte>? OnStep(GroupId group, StateStep step, ReadOnlyMemory<byte> piece)
    {
        switch (step)
        {
            case StateStep.Begin:
                if (!incoming.TryAdd(group, new PieceAssembly())) seat.Cluster.Violate($"{process.Id} is given a state of {group} before the last one was void.");
                break;
            case StateStep.Piece:
                PieceAssembly taken = incoming[group];
                taken.Add(piece);
                process.After(random.Between(TimeSpan.Zero, TimeSpan.FromMilliseconds(3)), () =>
                {
                    if (incoming.GetValueOrDefault(group) == taken) process.Call(now => process.Machine.StateTaken(now, group, piece.Length));
                });
                break;
            case StateStep.End:
                incoming.Remove(group, out PieceAssembly? whole);
                return whole!.Join(default);
            default:
                incoming.Remove(group);
                seat.Cluster.Coverage.StateRestarts++;
                break;
        }
        return null;
    }
}

// How the scripted application answers a request: itself, with copies to others, or by passing it on.
// Keeps: drawn when the request is handled, from a generator of its own, so that nothing else of a run shifts.
using System.Buffers.Binary;

namespace Core.Groups.Testing.Simulation;

internal sealed class AnswerChoice
{
    private static readonly AnswerChoice Plain = new(new SimulationRandom(0));
    private readonly SimulationRandom random;

    private AnswerChoice(SimulationRandom random) => this.random = random;

    public bool PassesOn { get; private init; }
    public bool Copies { get; private init; }
    public bool IsToOne { get; private init; }
    public int Size { get; private init; }

    public static AnswerChoice Draw(ApplicationProfile profile, SimulationRandom source)
    {
        if (profile is { CopyChance: 0, PassOnChance: 0 }) return Plain;
        SimulationRandom random = source.Fork();
        return new AnswerChoice(random)
        {
            PassesOn = random.Chance(profile.PassOnChance), Copies = random.Chance(profile.CopyChance), IsToOne = random.Chance(0.5),
            Size = random.Between(MessageBody.MinimumSize, random.Chance(0.1) ? profile.LargestCopy : 100),
        };
    }

    public T Pick<T>(IReadOnlyList<T> items) => random.Pick(items);

    public bool Takes() => random.Chance(0.6);

    public bool TakesOne() => random.Chance(0.2);

    /// <summary>The part of an answer that those see who get a copy of it; as it is, if it is none that this application made.</summary>
    public static ReadOnlyMemory<byte> CopyIn(ReadOnlyMemory<byte> body, SimulatedCluster cluster)
    {
        if (body.Length < MessageBody.MinimumSize || cluster.FindAnnounced(BinaryPrimitives.ReadUInt64LittleEndian(body.Span)) is not { } copy) return body;
        return body[..Math.Min(Math.Max(copy.Size, MessageBody.MinimumSize), body.Length)];
    }
}

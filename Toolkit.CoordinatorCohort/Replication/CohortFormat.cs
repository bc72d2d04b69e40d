// The bodies of messages, answers and states. Numbers are varints; what ends a body has no length of its own.
//   1 request    id, execution, collation, request     safe; by members, and as a request of others
//   2 answer     number, part, attempt, kind, body     causal; total in a redundant execution
//   3 progress   number, part, attempt, body           causal
//   4 cancel     id                                    total
//   5 forget     how many, numbers as differences      causal-total
//   6 load       how many                              safe
//   7 query      id                                    a request: how far it is
using System.Collections.Immutable;
using Core.Groups;
using Core.Groups.Replication;

namespace Toolkit.CoordinatorCohort.Replication;

internal enum CohortMessage : byte { Request = 1, Answer = 2, Progress = 3, Cancel = 4, Forget = 5, Load = 6, Query = 7 }

internal static class CohortFormat
{
    /// <summary>The primitive of requests, and of all that the choice of an executor rests on.</summary>
    public const Order RequestOrder = Order.Safe;

    public static ReadOnlySpan<byte> Request(BodyWriter body, ExecutionId id, Execution execution, Collation collation, ReadOnlySpan<byte> request)
    {
        Begin(body, CohortMessage.Request, id);
        body.Byte((byte)execution);
        body.Byte((byte)collation);
        body.Raw(request);
        return body.Written;
    }

    public static ReadOnlySpan<byte> Named(BodyWriter body, CohortMessage kind, ExecutionId id)
    {
        Begin(body, kind, id);
        return body.Written;
    }

    public static ReadOnlySpan<byte> Part(BodyWriter body, CohortMessage kind, long number, int part, int attempt, AnswerKind? answer, ReadOnlySpan<byte> content)
    {
        body.Reset().Byte((byte)kind);
        body.Varint(number);
        body.Varint(part);
        body.Varint(attempt);
        if (answer is { } given)
            body.Byte((byte)given);
        body.Raw(content);
        return body.Written;
    }

    public static ReadOnlySpan<byte> Forget(BodyWriter body, List<long> numbers)
    {
        body.Reset().Byte((byte)CohortMessage.Forget);
        body.Varint(numbers.Count);
        long last = 0;
        foreach (long number in numbers)
        {
            body.Varint(number - last);
            last = number;
        }

        return body.Written;
    }

    public static ReadOnlySpan<byte> Load(BodyWriter body, long load)
    {
        body.Reset().Byte((byte)CohortMessage.Load);
        body.Varint(load);
        return body.Written;
    }

    public static ExecutionId ReadId(ref BodyReader reader) => new(reader.Node(), reader.Varint());

    public static T ReadEnum<T>(ref BodyReader reader, T last) where T : struct, Enum
    {
        byte value = reader.Byte();
        return value <= Convert.ToByte(last, null) ? (T)Enum.ToObject(typeof(T), value) : throw new FormatException($"{value} is no {typeof(T).Name}.");
    }

    public static void WriteAnswer(BodyWriter body, Answer answer)
    {
        body.Varint(answer.Part);
        body.Node(answer.By);
        body.Varint(answer.Attempt);
        body.Byte((byte)answer.Kind);
        body.Blob(answer.Body.Span);
    }

    public static Answer ReadAnswer(ref BodyReader reader) =>
        new((int)reader.Varint(), reader.Node(), (int)reader.Varint(), ReadEnum(ref reader, AnswerKind.Cancelled), reader.Blob());

    public static ReadOnlySpan<byte> Reply(BodyWriter body, in CohortReply reply)
    {
        body.Reset().Varint(reply.Answers.Length);
        foreach (Answer answer in reply.Answers)
            WriteAnswer(body, answer);
        return body.Written;
    }

    /// <exception cref="FormatException">The bytes are no reply.</exception>
    public static CohortReply ReadReply(ReadOnlyMemory<byte> bytes)
    {
        var reader = new BodyReader(bytes);
        int count = reader.Count();
        ImmutableArray<Answer>.Builder answers = ImmutableArray.CreateBuilder<Answer>(count);
        for (int i = 0; i < count; i++)
            answers.Add(ReadAnswer(ref reader));
        return new CohortReply(answers.ToImmutable());
    }

    public static void WriteRecord(BodyWriter body, ExecutionRecord record)
    {
        body.Varint(record.Number);
        body.Node(record.Id.Caller);
        body.Varint(record.Id.Sequence);
        body.Byte((byte)record.Execution);
        body.Byte((byte)record.Collation);
        body.Blob(record.Request.Span);
        body.Flag(record.IsCancelled);
        body.Flag(record.IsComplete);
        body.Varint(record.Parts.Length);
        foreach (ExecutionPart part in record.Parts)
        {
            body.Node(part.Executor);
            body.Varint(part.Attempt);
            body.Flag(part.IsLost);
            body.Blob(part.Progress.Span);
            body.Flag(part.Answer is not null);
            if (part.Answer is { } answer)
                WriteAnswer(body, answer);
        }
    }

    public static ExecutionRecord ReadRecord(ref BodyReader reader)
    {
        long number = reader.Varint();
        ExecutionId id = ReadId(ref reader);
        Execution execution = ReadEnum(ref reader, Execution.Subdivided);
        Collation collation = ReadEnum(ref reader, Collation.All);
        ReadOnlyMemory<byte> request = reader.Blob();
        (bool isCancelled, bool isComplete) = (reader.Flag(), reader.Flag());
        var parts = new ExecutionPart[reader.Count()];
        for (int i = 0; i < parts.Length; i++)
        {
            parts[i] = new ExecutionPart(reader.Node()) { Attempt = (int)reader.Varint(), IsLost = reader.Flag(), Progress = reader.Blob() };
            if (reader.Flag())
                parts[i].Answer = ReadAnswer(ref reader);
        }

        return new ExecutionRecord(number, id, execution, collation, request, parts) { IsCancelled = isCancelled, IsComplete = isComplete };
    }

    private static void Begin(BodyWriter body, CohortMessage kind, ExecutionId id)
    {
        body.Reset().Byte((byte)kind);
        body.Node(id.Caller);
        body.Varint(id.Sequence);
    }
}

using System.Text.Json;

namespace GroupShell;

/// <summary>Writes the fields of an answer into its object.</summary>
internal delegate void AnswerFields(Utf8JsonWriter json);

/// <summary>An operation that is answered with an error: a code for programs, a sentence for people.</summary>
/// <param name="fields">What else the answer tells; null: nothing.</param>
internal sealed class ShellException(string code, string message, AnswerFields? fields = null) : Exception(message)
{
    public string Code { get; } = code;

    public AnswerFields? Fields { get; } = fields;

    public static ShellException BadField(string field, string rule) => new("bad-field", $"The field '{field}' {rule}.");
}

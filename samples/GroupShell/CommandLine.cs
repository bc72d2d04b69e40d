// One line of input as a command object.
using System.Text.Json;

namespace GroupShell;

/// <summary>Parses lines. Keeps: any bytes give a command or a <see cref="ShellException"/>.</summary>
internal static class CommandLine
{
    /// <param name="line">The line in UTF-8; null: it was too long to be read.</param>
    /// <param name="id">Its `id`, also if the rest is wrong; undefined if there is none.</param>
    /// <param name="operation">Its `op`.</param>
    public static JsonElement Parse(byte[]? line, out JsonElement id, out string operation)
    {
        id = default;
        if (line is null)
            throw new ShellException("line-too-long", $"A line may have {LineInput.LongestLine} bytes.");
        JsonElement command;
        try
        {
            command = JsonElement.Parse(line);
        }
        catch (JsonException e)
        {
            throw new ShellException("bad-json", $"The line is not a JSON object: {e.Message}");
        }

        if (command.ValueKind != JsonValueKind.Object)
            throw new ShellException("bad-json", "A command is a JSON object, such as {\"id\":1,\"op\":\"config\"}.");
        if (command.TryGetProperty("id", out JsonElement given))
            id = given;
        operation = new CommandFields(command).Text("op");
        return command;
    }

    /// <summary>What to answer to an operation that this program does not have.</summary>
    public static ShellException Unknown(string operation) => new("unknown-operation", $"There is no operation '{operation}'.");
}

using System.Text.Json.Serialization;

namespace GroupShell;

/// <summary>The code that writes what the shell sends as JSON, generated at build time.</summary>
[JsonSerializable(typeof(string))]
[JsonSerializable(typeof(TaskOperations.Work))]
internal sealed partial class ShellJson : JsonSerializerContext;

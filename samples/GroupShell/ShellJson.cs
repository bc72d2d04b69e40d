using System.Text.Json.Serialization;

namespace GroupShell;

/// <summary>The code that writes texts as JSON, generated at build time.</summary>
[JsonSerializable(typeof(string))]
internal sealed partial class ShellJson : JsonSerializerContext;

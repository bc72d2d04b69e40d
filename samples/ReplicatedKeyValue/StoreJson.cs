// The code that reads and writes what goes over HTTP, generated at build time.
using System.Text.Json;
using System.Text.Json.Serialization;

namespace ReplicatedKeyValue;

/// <summary>What servers answer and show.</summary>
[JsonSourceGenerationOptions(JsonSerializerDefaults.Web)]
[JsonSerializable(typeof(Entry))]
[JsonSerializable(typeof(Picture))]
[JsonSerializable(typeof(Dictionary<string, string>))]
[JsonSerializable(typeof(bool))]
[JsonSerializable(typeof(string))]
internal sealed partial class StoreJson : JsonSerializerContext;

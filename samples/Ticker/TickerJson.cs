// The code that reads and writes what the processes send each other, generated at build time.
using System.Text.Json.Serialization;

namespace Ticker;

/// <summary>Every type of message, and the state.</summary>
[JsonSerializable(typeof(Quote))]
[JsonSerializable(typeof(PublishedNotice))]
[JsonSerializable(typeof(Ledger))]
[JsonSerializable(typeof(Dictionary<string, int>))]
internal sealed partial class TickerJson : JsonSerializerContext;

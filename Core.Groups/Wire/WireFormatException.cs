namespace Core.Groups.Wire;

/// <summary>Bytes that are not what the wire format says. Caught where frames are read; it never leaves the machine.</summary>
internal sealed class WireFormatException(string message) : Exception(message);

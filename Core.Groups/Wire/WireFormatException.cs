namespace Core.Groups.Wire;

/// <summary>Bytes that are not what the wire format says. Caught where frames are read; a replica sees it as a <see cref="FormatException"/>.</summary>
internal sealed class WireFormatException(string message) : FormatException(message);

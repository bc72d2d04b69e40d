// The shell's own envelope of a message: one byte that says what it is, then the text or the filler.
// Keeps: reading never throws; a body of another program is shown as its size.
using System.Text;

namespace GroupShell;

/// <summary>A message's contents: a text, or so many bytes of filler.</summary>
/// <param name="Text">The text, if it is one.</param>
/// <param name="Size">The bytes of filler, if there is no text.</param>
internal readonly record struct Payload(string? Text, int Size)
{
    private const byte TextKind = (byte)'t';
    private const byte FillerKind = (byte)'f';

    /// <summary>What stands for the payload in an answer to a request: the text, or the size in digits.</summary>
    public string Shown => Text ?? Size.ToString(System.Globalization.CultureInfo.InvariantCulture);

    public byte[] ToBody()
    {
        byte[] body = new byte[1 + (Text is null ? Size : Encoding.UTF8.GetByteCount(Text))];
        body[0] = Text is null ? FillerKind : TextKind;
        if (Text is not null)
            Encoding.UTF8.GetBytes(Text, body.AsSpan(1));
        return body;
    }

    public static Payload Read(ReadOnlySpan<byte> body)
    {
        if (body.IsEmpty)
            return new Payload(null, 0);
        return body[0] switch
        {
            TextKind => new Payload(Encoding.UTF8.GetString(body[1..]), 0),
            FillerKind => new Payload(null, body.Length - 1),
            _ => new Payload(null, body.Length),
        };
    }
}

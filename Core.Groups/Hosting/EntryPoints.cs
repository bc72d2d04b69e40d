// The entry points of a group: which handler takes which message (the entries of the Isis toolkit, by type).
// Keeps: handlers may be registered at any time from any thread, while messages are being dispatched.
using System.Text;

namespace Core.Groups.Hosting;

/// <summary>The name of a type's entry point: its full name.</summary>
internal static class EntryName<T>
{
    public static readonly byte[] Utf8 = Make();

    private static byte[] Make()
    {
        byte[] name = Encoding.UTF8.GetBytes(typeof(T).FullName ?? typeof(T).Name);
        return name.Length <= Envelope.MaximumName
            ? name
            : throw new NotSupportedException($"The full name of {typeof(T)} is too long for an entry point: wrap the message in a type of your own.");
    }
}

/// <summary>A handler, with the reading of its message.</summary>
/// <returns>The reply; empty from handlers of plain messages.</returns>
/// <exception cref="UndecodableException">The body could not be read; the handler was not called.</exception>
internal delegate ValueTask<ReadOnlyMemory<byte>> EntryPoint(in GroupMessage message);

/// <summary>A body that an entry point's type could not be read from.</summary>
internal sealed class UndecodableException(Exception inner) : Exception(inner.Message, inner);

/// <summary>The registered handlers.</summary>
internal sealed class EntryPoints(IPayloadSerializer serializer)
{
    private readonly Lock _gate = new();
    private static readonly Table None = new(new(NameComparer.Instance), new(NameComparer.Instance), false);
    private static readonly Table NoneWanted = None with { Ignores = true };
    private volatile Table _table = None; // tables are copied when they change

    /// <summary>Whether anything was registered, or everything is to be passed over.</summary>
    public bool IsReady => _table.Ignores || _table.Messages.Count + _table.Requests.Count > 0;

    /// <summary>Whether messages without a handler are meant to be passed over.</summary>
    public bool Ignores => _table.Ignores;

    /// <summary>The handler for a name (empty: raw bytes). A plain message may go to a handler of requests; its reply is dropped.</summary>
    public EntryPoint? Find(ReadOnlySpan<byte> name, bool isRequest)
    {
        Table table = _table;
        EntryPoint? entry = null;
        if (!isRequest)
        {
            table.Messages.GetAlternateLookup<ReadOnlySpan<byte>>().TryGetValue(name, out entry);
        }

        if (entry is null)
        {
            table.Requests.GetAlternateLookup<ReadOnlySpan<byte>>().TryGetValue(name, out entry);
        }

        return entry;
    }

    public void IgnoreMessages()
    {
        lock (_gate)
        {
            _table = ReferenceEquals(_table, None) ? NoneWanted : _table with { Ignores = true };
        }
    }

    public void Add(Func<GroupMessage, ValueTask> handler) =>
        AddMessage([], (in GroupMessage message) => WithoutReply(handler(message)));

    public void Add<T>(Func<T, GroupMessage, ValueTask> handler) =>
        AddMessage(EntryName<T>.Utf8, (in GroupMessage message) => WithoutReply(handler(Read<T>(message.Body), message)));

    public void Add(EntryAddress entry, Func<GroupMessage, ValueTask> handler) =>
        AddMessage(Envelope.NameOf(entry), (in GroupMessage message) => WithoutReply(handler(message)));

    public void AddRequest(EntryAddress entry, Func<GroupMessage, ValueTask<ReadOnlyMemory<byte>>> handler) =>
        AddRequest(Envelope.NameOf(entry), (in GroupMessage message) => handler(message));

    public void AddRequest(Func<GroupMessage, ValueTask<ReadOnlyMemory<byte>>> handler) =>
        AddRequest([], (in GroupMessage message) => handler(message));

    public void AddRequest<TRequest, TReply>(Func<TRequest, GroupMessage, ValueTask<TReply>> handler) =>
        AddRequest(EntryName<TRequest>.Utf8, (in GroupMessage message) =>
        {
            message.Plan?.Head = Envelope.HeadOf(EntryName<TReply>.Utf8);
            return Write(handler(Read<TRequest>(message.Body), message));
        });

    private void AddMessage(byte[] name, EntryPoint entry)
    {
        lock (_gate)
        {
            _table = _table with { Messages = With(_table.Messages, name, entry) };
        }
    }

    private void AddRequest(byte[] name, EntryPoint entry)
    {
        lock (_gate)
        {
            _table = _table with { Requests = With(_table.Requests, name, entry) };
        }
    }

    private static Dictionary<byte[], EntryPoint> With(Dictionary<byte[], EntryPoint> entries, byte[] name, EntryPoint entry)
    {
        var copy = new Dictionary<byte[], EntryPoint>(entries, NameComparer.Instance);
        if (!copy.TryAdd(name, entry))
        {
            string what = name.Length == 0 ? "raw messages" : Encoding.UTF8.GetString(name);
            throw new InvalidOperationException($"There is a handler for {what} already; a group has one for each entry point.");
        }

        return copy;
    }

    private T Read<T>(ReadOnlyMemory<byte> body)
    {
        try
        {
            return serializer.Deserialize<T>(body);
        }
        catch (Exception e)
        {
            throw new UndecodableException(e);
        }
    }

    private static ValueTask<ReadOnlyMemory<byte>> WithoutReply(ValueTask handling)
    {
        if (!handling.IsCompletedSuccessfully)
        {
            return Await(handling);
        }

        handling.GetAwaiter().GetResult(); // a pooled source goes back
        return default;

        static async ValueTask<ReadOnlyMemory<byte>> Await(ValueTask handling)
        {
            await handling.ConfigureAwait(false);
            return default;
        }
    }

    private async ValueTask<ReadOnlyMemory<byte>> Write<TReply>(ValueTask<TReply> handling)
    {
        var writer = new System.Buffers.ArrayBufferWriter<byte>();
        serializer.Serialize(await handling.ConfigureAwait(false), writer);
        return writer.WrittenMemory;
    }

    private sealed record Table(Dictionary<byte[], EntryPoint> Messages, Dictionary<byte[], EntryPoint> Requests, bool Ignores);

    private sealed class NameComparer : IEqualityComparer<byte[]>, IAlternateEqualityComparer<ReadOnlySpan<byte>, byte[]>
    {
        public static readonly NameComparer Instance = new();

        public bool Equals(byte[]? x, byte[]? y) => x.AsSpan().SequenceEqual(y);
        public int GetHashCode(byte[] name) => GetHashCode(name.AsSpan());
        public bool Equals(ReadOnlySpan<byte> alternate, byte[] other) => alternate.SequenceEqual(other);
        public byte[] Create(ReadOnlySpan<byte> alternate) => alternate.ToArray();

        public int GetHashCode(ReadOnlySpan<byte> name)
        {
            var hash = new HashCode();
            hash.AddBytes(name);
            return hash.ToHashCode();
        }
    }
}

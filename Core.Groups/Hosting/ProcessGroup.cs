namespace Core.Groups;

/// <summary>This node's membership of a group.</summary>
public sealed class ProcessGroup : IAsyncDisposable
{
    internal ProcessGroup() => throw new NotImplementedException();

    /// <summary>The group's name.</summary>
    public string Name => throw new NotImplementedException();
    /// <summary>The group's id.</summary>
    public GroupId Id => throw new NotImplementedException();
    /// <summary>The present view, in delivery order.</summary>
    public View View => throw new NotImplementedException();
    /// <summary>The node.</summary>
    public GroupNode Node => throw new NotImplementedException();
    /// <summary>This node's rank in the view.</summary>
    public int Rank => throw new NotImplementedException();
    /// <summary>Cancelled when this membership is over.</summary>
    public CancellationToken Ended => throw new NotImplementedException();
    /// <summary>Raised after a forced re-join, with the first view.</summary>
    public event Action<View>? Rejoined { add => throw new NotImplementedException(); remove => throw new NotImplementedException(); }
    /// <summary>The default entry: messages as bytes.</summary>
    public void OnMessage(Func<GroupMessage, ValueTask> handler) => throw new NotImplementedException();
    /// <summary>An entry point per type.</summary>
    public void On<T>(Func<T, GroupMessage, ValueTask> handler) => throw new NotImplementedException();
    /// <summary>Requests as bytes; the result is the reply.</summary>
    public void OnRequest(Func<GroupMessage, ValueTask<ReadOnlyMemory<byte>>> handler) => throw new NotImplementedException();
    /// <summary>An entry point per type of request.</summary>
    public void OnRequest<TRequest, TReply>(Func<TRequest, GroupMessage, ValueTask<TReply>> handler) => throw new NotImplementedException();
    /// <summary>Says that no handler will come: deliveries are passed over.</summary>
    public void IgnoreMessages() => throw new NotImplementedException();
    /// <summary>The views, the present one first.</summary>
    public IAsyncEnumerable<View> Views(CancellationToken ct = default) => throw new NotImplementedException();
    /// <summary>Multicasts bytes; completes when accepted: waits only for credit.</summary>
    public ValueTask SendAsync(Order order, ReadOnlyMemory<byte> body, CancellationToken ct = default) => throw new NotImplementedException();
    /// <summary>As SendAsync, but completes when the message is numbered and handed to the links, with its id. Needs tracing.</summary>
    public ValueTask<MessageId> SendTracedAsync(Order order, ReadOnlyMemory<byte> body, CancellationToken ct = default) => throw new NotImplementedException();
    /// <summary>MBCAST of a typed message.</summary>
    public ValueTask ReliableAsync<T>(T message, CancellationToken ct = default) => throw new NotImplementedException();
    /// <summary>FBCAST of a typed message.</summary>
    public ValueTask FifoAsync<T>(T message, CancellationToken ct = default) => throw new NotImplementedException();
    /// <summary>CBCAST of a typed message.</summary>
    public ValueTask CausalAsync<T>(T message, CancellationToken ct = default) => throw new NotImplementedException();
    /// <summary>ABCAST of a typed message.</summary>
    public ValueTask TotalAsync<T>(T message, CancellationToken ct = default) => throw new NotImplementedException();
    /// <summary>Asks the group, in bytes.</summary>
    public ValueTask<GroupReplies> RequestAsync(Order order, ReadOnlyMemory<byte> body, Replies replies, TimeSpan? timeout = null, CancellationToken ct = default) => throw new NotImplementedException();
    /// <summary>Asks the group with objects.</summary>
    public ValueTask<GroupReplies<TReply>> RequestAsync<TRequest, TReply>(TRequest request, Replies replies, Order order = Order.Fifo, TimeSpan? timeout = null, CancellationToken ct = default) => throw new NotImplementedException();
    /// <summary>Waits until all that this node has sent and delivered is stable.</summary>
    public ValueTask FlushAsync(CancellationToken ct = default) => throw new NotImplementedException();
    /// <summary>Leaves the group; completes when the last handler has run.</summary>
    public ValueTask LeaveAsync(CancellationToken ct = default) => throw new NotImplementedException();
    /// <summary>Asks to leave and does not wait: for use inside a handler.</summary>
    public void Leave() => throw new NotImplementedException();
    /// <inheritdoc/>
    public ValueTask DisposeAsync() => throw new NotImplementedException();
}

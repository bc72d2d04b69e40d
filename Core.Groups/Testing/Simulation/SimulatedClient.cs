// A simulated client: a program in no configuration, which calls groups through whichever node it reaches.
// Keeps: what a host keeps. One connection at a time, to the next node when the last one ended; frames of old connections are ignored.
using Core.Groups.Protocol;
using Core.Groups.Protocol.Clients;

namespace Core.Groups.Testing.Simulation;

/// <summary>A client's machine and its outside.</summary>
internal sealed class SimulatedClient : IClientEffects, INetworkEndpoint
{
    private readonly SimulatedCluster cluster;
    private readonly SimulationRandom random;
    private readonly ClientMachine machine;
    private readonly Dictionary<long, (ClientQuestionKind Kind, string Text)> asked = [];
    private int connection;
    private bool dialling;
    private TimeSpan? tickArmed;

    public SimulatedClient(SimulatedCluster cluster, string name, SimulationRandom random)
    {
        this.cluster = cluster;
        this.random = random;
        Name = name;
        machine = new ClientMachine(new NodeId(name, 1), this);
        Calls = new CallTracker(cluster, machine.Self);
    }

    public string Name { get; }
    public NodeId Id => machine.Self;
    public CallTracker Calls { get; }
    public PeerIdentity Identity => new(machine.Self, "client:1", "", 0, IsElector: false) { IsClient = true };
    public bool Answers => true;

    /// <summary>The name of the node that serves it.</summary>
    public string? Server { get; private set; }

    /// <summary>How often a node began to serve it.</summary>
    public int Welcomes { get; private set; }

    public void Start()
    {
        cluster.Network.Attach(Name, this);
        DialLater();
    }

    public SentMessage Call(string group, Order order, ReplyMode mode, int count, TimeSpan? timeout, int size)
    {
        SentMessage message = cluster.Announce(machine.Self, group, order, size);
        byte[] body = MessageBody.Make(message.Marker, hops: byte.MaxValue, mayIgnore: timeout is not null, size);
        long call = Calls.Begin($"call {order} {mode} of {Name} to {group}", outcome => Promise(message, mode, outcome), message.Marker);
        Do(now => machine.Call(now, call, group, order, body, mode, count, timeout));
        return message;
    }

    public void Ask(ClientQuestionKind kind, string text)
    {
        long call = Calls.Begin($"{kind} {text} of {Name}");
        asked.Add(call, (kind, text));
        Do(now => machine.Ask(now, call, kind, text));
    }

    void IClientEffects.Answered(long call, Outcome outcome, GroupInfo? group, IReadOnlyList<string> names)
    {
        Calls.OnCompleted(call, outcome);
        asked.Remove(call, out var question);
        cluster.Coverage.ClientAnswers++;
        if (question.Kind == ClientQuestionKind.Find && group is not null && (group.Name != question.Text || group.Members.IsEmpty))
            cluster.Violate($"{Id} asked for {question.Text} and was told of {group.Name} with the members [{string.Join(' ', group.Members)}].");
        if (!names.All(n => n.StartsWith(question.Text, StringComparison.Ordinal)) || !names.SequenceEqual(names.Distinct().Order(StringComparer.Ordinal)))
            cluster.Violate($"{Id} asked for the names that begin with {question.Text} and got [{string.Join(' ', names)}].");
    }

    // Without replies a call ends when all members have the message: then it can be lost only with all of them.
    private void Promise(SentMessage message, ReplyMode mode, Outcome outcome)
    {
        if (outcome == Outcome.Excluded) cluster.Log(Id, $"does not know what became of {message}");
        if (outcome != Outcome.Done || mode != ReplyMode.None) return;
        if (cluster.GroupOf(message.Marker) is { } group) cluster.Durable.Promise(group, [message.Marker], cluster.MembersOf(group));
        else cluster.Violate($"{Id}: {message} is said to be delivered, but nobody got it.");
    }

    private void Do(Action<TimeSpan> call)
    {
        try
        {
            call(cluster.Time.Now);
        }
        catch (Exception exception)
        {
            cluster.Violate($"{Id}: the client's machine threw {exception}");
        }
        Arm();
    }

    private void Arm()
    {
        TimeSpan due = machine.NextDeadline;
        if (due == TimeSpan.MaxValue || tickArmed <= due) return;
        if (due <= cluster.Time.Now) due = cluster.Time.Now + TimeSpan.FromMicroseconds(1);
        tickArmed = due;
        cluster.Time.At(due, () =>
        {
            if (tickArmed != due) return;
            tickArmed = null;
            Do(machine.Tick);
        });
    }

    private void DialLater()
    {
        if (dialling) return;
        dialling = true;
        cluster.Time.After(random.Between(TimeSpan.Zero, TimeSpan.FromMilliseconds(200)), () =>
            cluster.Network.Dial(this, Name, SimulatedNetwork.AddressOf(random.Pick(cluster.Names))));
    }

    void INetworkEndpoint.Connected(int number, PeerIdentity peer)
    {
        dialling = false;
        connection = number;
        Server = peer.Id.Name;
        Do(machine.Connected);
    }

    void INetworkEndpoint.Disconnected(int number)
    {
        if (number != connection) return;
        connection = 0;
        Do(machine.Disconnected);
        DialLater();
    }

    void INetworkEndpoint.DialFailed(string address, bool refused)
    {
        dialling = false;
        DialLater();
    }

    void INetworkEndpoint.Received(int number, ReadOnlyMemory<byte> frame)
    {
        if (number == connection) Do(now => machine.FrameReceived(now, frame));
    }

    void IClientEffects.Transmit(ReadOnlySpan<byte> frame)
    {
        cluster.Fingerprint.Add(frame);
        cluster.Network.Transmit(this, connection, frame);
    }

    void IClientEffects.Close(string reason)
    {
        cluster.Log(Id, $"leaves {Server}: {reason}");
        cluster.Network.Close(this, connection);
        connection = 0;
        DialLater();
    }

    void IClientEffects.Ended(long call, Outcome outcome, IReadOnlyList<ReplyItem> replies, IReadOnlyList<NodeId> failed, MessageId message)
    {
        if (message != default) Calls.OnSent(call, message);
        else Calls.OnRequestCompleted(call, outcome, replies, failed);
    }

    void IClientEffects.ServedBy(NodeId? server)
    {
        if (server is null) return;
        Welcomes++;
        cluster.Coverage.ClientMoves++;
        cluster.Log(Id, $"is served by {server}");
    }

    void IClientEffects.IdentityChanged(NodeId self) => cluster.Log(self, "goes on as another client: nobody knows what became of its calls");
}

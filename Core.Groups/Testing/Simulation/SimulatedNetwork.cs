// The network between simulated nodes: reachability by name and direction, connections, delays.
// Keeps: what TCP promises and no more. Frames of a connection arrive in order; a broken connection loses a suffix
// of what was on its way in each direction; at most one connection of a pair is open.

namespace Core.Groups.Testing.Simulation;

/// <summary>A network of nodes that are known by their names.</summary>
internal sealed class SimulatedNetwork
{
    private sealed class Connection(int first, int second, int firstNumber, int secondNumber)
    {
        public int First => first;
        public int Second => second;
        public int NumberAt(int node) => node == first ? firstNumber : secondNumber;
        public int PeerOf(int node) => node == first ? second : first;
    }

    private static readonly TimeSpan SecondAttempt = TimeSpan.FromSeconds(1);

    private readonly VirtualTime time;
    private readonly SimulationRandom random;
    private readonly NetworkProfile profile;
    private readonly Dictionary<string, int> indexes = [];
    private readonly INetworkEndpoint?[] endpoints;
    private readonly NetworkChannel[] channels;
    private readonly Connection?[] open;
    private readonly Dictionary<int, Connection> byNumber = [];
    private int lastNumber;

    public SimulatedNetwork(VirtualTime time, SimulationRandom random, NetworkProfile profile, IReadOnlyList<string> names)
    {
        this.time = time;
        this.random = random;
        this.profile = profile;
        int count = names.Count;
        endpoints = new INetworkEndpoint?[count];
        channels = new NetworkChannel[count * count];
        open = new Connection?[count * count];
        for (int i = 0; i < count; i++)
        {
            indexes.Add(AddressOf(names[i]), i);
            for (int j = 0; j < count; j++)
            {
                int to = j;
                channels[i * count + j] = new(time, random, profile, () => endpoints[to]);
            }
        }
    }

    /// <summary>How many connections were opened.</summary>
    public long Opened { get; private set; }

    /// <summary>How many connections were broken while both ends lived.</summary>
    public long Broken { get; private set; }

    /// <summary>The address under which the node of this name is dialled.</summary>
    public static string AddressOf(string name) => name + ":7100";

    public void Attach(string name, INetworkEndpoint endpoint) => endpoints[IndexOf(name)] = endpoint;

    /// <summary>The process is gone. Its peers learn it in order, unless a cut keeps it from them.</summary>
    /// <param name="abrupt">Whether a suffix of what it sent is lost.</param>
    public void Detach(string name, bool abrupt)
    {
        int node = IndexOf(name);
        endpoints[node] = null;
        for (int peer = 0; peer < endpoints.Length; peer++)
        {
            if (OpenBetween(node, peer) is { } connection)
            {
                if (abrupt) Channel(node, peer).LoseSuffix(connection.NumberAt(peer));
                Channel(node, peer).Disconnect(connection.NumberAt(peer));
                Forget(connection);
            }
            Channel(peer, node).Clear();
        }
    }

    public void Dial(INetworkEndpoint from, string fromName, string address)
    {
        int source = IndexOf(fromName);
        TimeSpan started = time.Now;
        if (!indexes.TryGetValue(address, out int target) || target == source)
            time.After(profile.DialTimeout, () => Fail(refused: false));
        else
            time.After(profile.Draw(random), () => Attempt(again: true));

        void Attempt(bool again)
        {
            bool cut = Channel(source, target).IsCut || Channel(target, source).IsCut;
            if (!ReferenceEquals(endpoints[source], from)) return;
            if (cut || endpoints[target] is { Answers: false })
            {
                if (again) time.At(started + SecondAttempt, () => Attempt(again: false));
                else time.At(started + profile.DialTimeout, () => Fail(refused: false));
            }
            else if (endpoints[target] is null) Fail(refused: true);
            else Establish(source, target);
        }

        void Fail(bool refused)
        {
            if (ReferenceEquals(endpoints[source], from)) from.DialFailed(address, refused);
        }
    }

    public void Transmit(INetworkEndpoint from, int connection, ReadOnlySpan<byte> frame)
    {
        if (Find(from, connection) is not { } found) return;
        (int source, Connection of) = found;
        int target = of.PeerOf(source);
        Channel(source, target).Send(of.NumberAt(target), frame);
    }

    public void Close(INetworkEndpoint from, int connection)
    {
        if (Find(from, connection) is not { } found) return;
        (int source, Connection of) = found;
        int target = of.PeerOf(source);
        Channel(source, target).Disconnect(of.NumberAt(target));
        Channel(target, source).LoseSuffix(of.NumberAt(source));
        Forget(of);
    }

    /// <summary>Stops everything in one direction.</summary>
    public void Cut(string from, string to) => Channel(IndexOf(from), IndexOf(to)).Cut();

    /// <summary>Lets everything pass again in one direction.</summary>
    public void Heal(string from, string to) => Channel(IndexOf(from), IndexOf(to)).Heal();

    /// <summary>Lets everything pass again.</summary>
    public void Heal()
    {
        foreach (NetworkChannel channel in channels) channel.Heal();
    }

    public bool IsCut(string from, string to) => Channel(IndexOf(from), IndexOf(to)).IsCut;

    /// <summary>Breaks the connection of a pair, if there is one: each end loses a suffix of what was coming and is told.</summary>
    public bool Break(string first, string second)
    {
        int a = IndexOf(first), b = IndexOf(second);
        if (OpenBetween(a, b) is not { } connection) return false;
        foreach ((int from, int to) in new[] { (a, b), (b, a) })
        {
            Channel(from, to).LoseSuffix(connection.NumberAt(to));
            Channel(from, to).Disconnect(connection.NumberAt(to));
        }
        Forget(connection);
        Broken++;
        return true;
    }

    private void Establish(int source, int target)
    {
        if (OpenBetween(source, target) is { } old)
        {
            Channel(source, target).LoseSuffix(old.NumberAt(target));
            Channel(target, source).LoseSuffix(old.NumberAt(source));
            Forget(old);
        }
        Connection connection = new(source, target, ++lastNumber, ++lastNumber);
        open[PairOf(source, target)] = connection;
        byNumber.Add(connection.NumberAt(source), connection);
        byNumber.Add(connection.NumberAt(target), connection);
        Opened++;
        Channel(target, source).Connect(connection.NumberAt(source), endpoints[target]!.Identity);
        Channel(source, target).Connect(connection.NumberAt(target), endpoints[source]!.Identity);
    }

    private void Forget(Connection connection)
    {
        open[PairOf(connection.First, connection.Second)] = null;
        byNumber.Remove(connection.NumberAt(connection.First));
        byNumber.Remove(connection.NumberAt(connection.Second));
    }

    private (int Source, Connection Connection)? Find(INetworkEndpoint from, int number)
    {
        if (!byNumber.TryGetValue(number, out Connection? connection)) return null;
        int source = connection.NumberAt(connection.First) == number ? connection.First : connection.Second;
        return ReferenceEquals(endpoints[source], from) ? (source, connection) : null;
    }

    private Connection? OpenBetween(int a, int b) => open[PairOf(a, b)];

    private int PairOf(int a, int b) => Math.Min(a, b) * endpoints.Length + Math.Max(a, b);

    private NetworkChannel Channel(int from, int to) => channels[from * endpoints.Length + to];

    private int IndexOf(string name) => indexes[AddressOf(name)];
}

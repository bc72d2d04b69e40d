// Who coordinates a request: a function of what all members know alike.
// Keeps: every member computes the same choice, for it depends on the view, the request and the totally ordered load alone.
// Follows: "Exploiting virtual synchrony", section 3.4: "any rule that depends on the global properties of the process group
// and the contents of the message can be used to pick the initial and subsequent coordinators".
using System.Text;
using Core.Groups;

namespace Toolkit.CoordinatorCohort;

/// <summary>What a rule may look at. The same at all members when the choice is made.</summary>
public readonly struct CoordinatorChoice
{
    private readonly Func<NodeId, long> _load;

    internal CoordinatorChoice(View view, ExecutionId id, ReadOnlyMemory<byte> request, int attempt, Func<NodeId, long> load) =>
        (View, Id, Request, Attempt, _load) = (view, id, request, attempt, load);

    /// <summary>The view in which the choice is made: its members are the candidates.</summary>
    public View View { get; }

    /// <summary>The request's id; it names the caller.</summary>
    public ExecutionId Id { get; }

    /// <summary>The request in its serialized form.</summary>
    public ReadOnlyMemory<byte> Request { get; }

    /// <summary>1 for the first coordinator, 2 for the one after its failure, …</summary>
    public int Attempt { get; }

    /// <summary>How many requests a member has to execute, as all members know it: what it has finished since it last told is still counted.</summary>
    public long LoadOf(NodeId member) => _load(member);

    /// <summary>A number that spreads requests evenly: the same at all members, another one for each request and attempt.</summary>
    public int Spread(int candidates)
    {
        ulong hash = 14695981039346656037;
        foreach (byte b in Encoding.UTF8.GetBytes(Id.Caller.Name))
            hash = (hash ^ b) * 1099511628211;
        hash = (hash ^ (ulong)Id.Caller.Incarnation ^ (ulong)(Id.Sequence * 31) ^ ((ulong)Attempt << 48)) * 1099511628211;
        return (int)((hash ^ (hash >> 29)) % (ulong)candidates);
    }
}

/// <summary>A rule that chooses the coordinator of a request. All members of a group must have the same one: a joiner with another name of a rule is refused.</summary>
/// <param name="name">Names the rule, and its version if it has any.</param>
/// <param name="choose">The rank in <see cref="CoordinatorChoice.View"/> of the coordinator. What lies outside is brought in by the remainder. It must not throw.</param>
public sealed class CoordinatorRule(string name, Func<CoordinatorChoice, int> choose)
{
    /// <summary>Spreads requests evenly over the members, by their ids. The default.</summary>
    public static CoordinatorRule Hash { get; } = new("hash", static choice => choice.Spread(choice.View.Members.Length));

    /// <summary>The caller's own node if it serves, else as <see cref="Hash"/>.</summary>
    public static CoordinatorRule Locality { get; } = new("locality", static choice =>
    {
        for (int rank = 0; rank < choice.View.Members.Length; rank++)
        {
            if (choice.View.Members[rank].Name == choice.Id.Caller.Name)
                return rank;
        }

        return choice.Spread(choice.View.Members.Length);
    });

    /// <summary>The member with the fewest requests to execute; of several, one by <see cref="Hash"/>.</summary>
    public static CoordinatorRule LeastLoaded { get; } = new("least-loaded", static choice =>
    {
        int members = choice.View.Members.Length;
        int first = choice.Spread(members), best = first;
        for (int i = 1; i < members; i++)
        {
            int rank = (first + i) % members;
            if (choice.LoadOf(choice.View.Members[rank]) < choice.LoadOf(choice.View.Members[best]))
                best = rank;
        }

        return best;
    });

    /// <summary>The rule's name.</summary>
    public string Name { get; } = name;

    internal NodeId Choose(in CoordinatorChoice choice)
    {
        int members = choice.View.Members.Length;
        return choice.View.Members[((choose(choice) % members) + members) % members];
    }
}

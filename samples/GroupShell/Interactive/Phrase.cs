// A command as a person types it, translated to the command object that programs send: `send /prices total SUN 51.5`.
// Words in the order of the table, then or in between `field=value`; the last word of send and request takes the rest.
using System.Text.Json;
using System.Text.Json.Nodes;

namespace GroupShell.Interactive;

/// <summary>Translates what is typed.</summary>
internal static class Phrase
{
    /// <summary>The operations worth typing, their fields in order, and what they do.</summary>
    public static readonly (string Operation, string[] Fields, string Help)[] Table =
    [
        ("join", ["group"], "become a member; credentials=WORD: show it, and let in only who shows the same; answers to requests: copies=GROUP,GROUP get them too; pass-on=GROUP answers instead (pass-to=NODE: that member); entries=NAME,7: entry points by name and number; logged=true; state=BYTES: so much state, which joiners get as one object, or as a stream with streamed=true (all members say the same; the first one's size counts)"),
        ("join-all", ["prefix", "count"], "join (and create) groups in bulk, all or none: PREFIX1, PREFIX2, … up to the count; or groups=G,G; more: as for join, without logged"),
        ("leave", ["group"], "stop being a member"),
        ("migrate", ["group", "to"], "move this membership to another node: it joins and this one leaves in one view"),
        ("configure", ["group", "key", "value"], "set an entry of the group's configuration data to any JSON: one event at every member"),
        ("rank", ["group", "members"], "rank the members anew: these first (A,B), the others behind them as before; a view with the same members"),
        ("members", ["group"], "the view: its number, and the members by rank"),
        ("send", ["group", "order", "text"], "multicast; orders: reliable fifo causal total causal-total safe group (one place among all messages and views); the group by its name or its id; more: count=N size=BYTES timeout=5s groups=G,G to=NODE,NODE label=L"),
        ("request", ["group", "order", "text"], "multicast a question, and wait for the answers; more: replies=first, majority, all or N; timeout=5s entry=NAME (or a number) groups=G,G (each member of them answers once) label=L; as=GROUP number=N: as all its members do, handled once"),
        ("groups", ["prefix"], "the names of the groups that begin so; at a site: @NewYork:/"),
        ("find", ["group"], "look a group up by its name or its id, member or not: its name, id, view and members"),
        ("delete", ["group"], "all members leave; the name is free again"),
        ("delete-all", ["prefix", "count"], "delete groups in bulk, named as for join-all; those that are not there are passed over"),
        ("watch", ["group"], "tell who joins, leaves or fails; or a node: node=NAME"),
        ("kill", ["group", "text"], "ask the members' processes to end: a shell does, in order"),
        ("force-primary", [], "begin a new lineage with whoever is reached, after a loss that no rule can heal"),
        ("flush", ["group"], "wait until all that was sent and delivered is stable"),
        ("var.set", ["name", "value"], "set a replicated variable to any JSON; more: mode=causal"),
        ("var.get", ["name"], "read it, here; more: linearizable=true"),
        ("var.cas", ["name", "expect", "value"], "set it if it has a version; 0: not there"),
        ("dict.set", ["name", "key", "value"], "set an entry of a replicated dictionary"),
        ("dict.get", ["name", "key"], "read it, here; more: linearizable=true"),
        ("dict.remove", ["name", "key"], "remove it"),
        ("dict.list", ["name"], "all entries at one moment; more: linearizable=true"),
        ("txn.transfer", ["name", "from", "to", "amount"], "move money between accounts of a bank; more: initial=100"),
        ("txn.balances", ["name"], "the accounts of a bank"),
        ("task.serve", ["name"], "execute requests from now on: they put a text in upper case"),
        ("task.run", ["name", "text"], "have a request executed; more: work=2s execution=redundant timeout=5s"),
        ("task.status", ["name"], "what this server has executed and remembers"),
        ("news.subscribe", ["topic"], "print the posts of topics: markets.*.SUN, markets.>; more: back=N back issues first"),
        ("news.unsubscribe", ["topic"], "print them no more"),
        ("news.post", ["topic", "text"], "post"),
        ("news.back", ["topic"], "the last posts of a topic; more: count=N"),
        ("log.status", ["group"], "of a logged group, or with name=PATH of an object: how it stands, whom it waits for, its checkpoints"),
        ("log.checkpoint", ["group"], "a numbered checkpoint of all members; more: groups=G,G at one instant"),
        ("log.rollback", ["group", "number"], "all members go back to a checkpoint; more: groups=G,G together"),
        ("log.override", ["group", "members"], "after all have failed: go on with these (A,B), whatever the others have"),
        ("board.post", ["name", "item"], "as out; at the first use of a board: consistency=total or causal; more: lifetime=10s"),
        ("board.read", ["name", "template"], "as rd; more: wait=false timeout=5s"),
        ("board.take", ["name", "template"], "as in; more: wait=false timeout=5s"),
        ("out", ["name", "item"], "post a tuple on a board, in JSON without blanks: out /jobs [\"job\",1]"),
        ("rd", ["name", "template"], "wait for a tuple and leave it there; rdp does not wait. null: anything, {\"prefix\":\"x\"}, {\"min\":1,\"max\":5}"),
        ("rdp", ["name", "template"], "read a tuple, if there is one"),
        ("in", ["name", "template"], "wait for a tuple and take it; inp does not wait; more: timeout=5s"),
        ("inp", ["name", "template"], "take a tuple, if there is one"),
        ("board.list", ["name", "template"], "all tuples that match"),
        ("lock.acquire", ["name"], "hold a lock; more: timeout=5s owner=WORD (one shell is one owner else)"),
        ("lock.try", ["name"], "hold a lock if it is to be had at once, or within timeout=1s"),
        ("lock.release", ["hold"], "release it"),
        ("lock.who", ["name"], "who holds and who waits"),
        ("sem.wait", ["name"], "P: one permit; more: count=N (permits at first) timeout=5s owner=WORD"),
        ("sem.signal", ["hold"], "V: give a permit back; with name=PATH: make one more"),
        ("rw.read", ["name"], "a read lock; more: timeout=5s owner=WORD"),
        ("rw.write", ["name"], "a write lock; more: timeout=5s owner=WORD"),
        ("rw.release", ["hold"], "release either"),
        ("config", [], "the nodes that can talk now"),
        ("stats", [], "counters"),
        ("quiet", ["on"], "true: stop printing deliveries; false: print them again"),
        ("crash", [], "end at once, without a goodbye"),
        ("stop", [], "leave in order, and end"),
    ];

    private static readonly string[] Lists = ["groups", "copies", "members"];
    private static readonly string[] Numbers = ["number", "count", "size", "back", "expect", "amount", "initial", "state"];
    private static readonly string[] Flags = ["on", "linearizable", "logged", "streamed", "wait"];
    private static readonly string[] KnownFields = ["group", "groups", "copies", "pass-on", "pass-to", "to", "as", "number", "key", "order", "text", "count", "size", "timeout", "replies", "on", "label", "prefix", "credentials", "node",
        "name", "work", "execution", "back", "hold", "owner", "value", "mode", "linearizable", "initial",
        "entry", "entries", "logged", "state", "streamed", "members", "consistency", "lifetime", "wait"];

    /// <summary>The command object of a line; null for an empty line.</summary>
    public static JsonObject? Translate(string line)
    {
        string[] words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        if (words.Length == 0)
            return null;
        var command = new JsonObject { ["op"] = words[0] };
        string[] fields = Table.FirstOrDefault(row => row.Operation == words[0]).Fields ?? [];
        int next = 0;
        for (int i = 1; i < words.Length; i++)
        {
            int equals = words[i].IndexOf('=');
            if (equals > 0 && KnownFields.Contains(words[i][..equals]))
            {
                Set(command, words[i][..equals], words[i][(equals + 1)..]);
                if (words[i].StartsWith("groups=", StringComparison.Ordinal) && next == 0)
                    next++; // they stand for the group
            }
            else if (next < fields.Length && fields[next] != "text")
                Set(command, fields[next++], words[i]);
            else
                command["text"] = command["text"] is { } begun ? $"{begun} {words[i]}" : words[i];
        }

        return command;
    }

    private static void Set(JsonObject command, string field, string value)
    {
        command[field] = value switch
        {
            "true" or "on" when Flags.Contains(field) => true,
            "false" or "off" when Flags.Contains(field) => false,
            _ when (Numbers.Contains(field) || field is "replies" or "entry") && long.TryParse(value, out long number) => number,
            _ when field == "entries" => new JsonArray([.. value.Split(',').Select(entry => int.TryParse(entry, out int number) ? (JsonNode)number : entry)]),
            _ when Lists.Contains(field) || (field == "to" && (string?)command["op"] == "send") => new JsonArray([.. value.Split(',').Select(name => (JsonNode)name)]),
            _ when field is "item" or "template" or "value" => Parsed(value),
            _ => value,
        };
    }

    // What is no JSON is sent as it is: the answer says what is wrong with it.
    private static JsonNode? Parsed(string text)
    {
        try
        {
            return JsonNode.Parse(text);
        }
        catch (JsonException)
        {
            return text;
        }
    }
}

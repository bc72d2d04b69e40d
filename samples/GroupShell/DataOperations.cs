// The operations of replicated data: var.*, dict.*, txn.*. Keeps: those on one object start in the order given (a read after a
// write that was not waited for may still be the older one: it is local; ask for a linearizable one).
using System.Text.Json;
using Core.Groups;
using Toolkit.ReplicatedData;

namespace GroupShell;

/// <summary>Carries out operations on variables, dictionaries and banks. Values are JSON texts.</summary>
internal sealed class DataOperations(GroupNode node)
{
    private static readonly ReplicatedDataOptions Either = new() { Mode = UpdateMode.Causal }; // total updates too

    private readonly Once<ReplicatedVariable<string>> _variables = new();
    private readonly Once<ReplicatedDictionary<string, string>> _dictionaries = new();
    private readonly Once<Bank> _banks = new();
    private readonly Dictionary<string, GroupLane> _lanes = []; // touched by the thread that reads the commands

    public void AddTo(Dictionary<string, Operation> operations)
    {
        operations["var.set"] = SetAsync;
        operations["var.get"] = GetAsync;
        operations["var.cas"] = CompareAndSetAsync;
        operations["dict.set"] = SetEntryAsync;
        operations["dict.get"] = GetEntryAsync;
        operations["dict.remove"] = RemoveEntryAsync;
        operations["dict.list"] = ListAsync;
        operations["txn.transfer"] = TransferAsync;
        operations["txn.balances"] = BalancesAsync;
    }

    private async Task<AnswerFields?> SetAsync(CommandFields command, CancellationToken ct)
    {
        (string name, string value) = (command.ObjectName(), command.AnyJson("value"));
        bool isCausal = command.Has("mode") && command.Text("mode") switch
        {
            "total" => false,
            "causal" => true,
            _ => throw ShellException.BadField("mode", "must be \"total\" or \"causal\""),
        };
        Task<long> set = await StartAsync(_variables, "var", name, () => node.ReplicatedAsync<string>(name, Either), variable =>
            isCausal ? variable.SetCausalAsync(value, ct).AsTask() : variable.SetAsync(value, ct: ct).AsTask(), ct).ConfigureAwait(false);
        long version = await set.ConfigureAwait(false);
        return json => Write(json, version, value);
    }

    private async Task<AnswerFields?> GetAsync(CommandFields command, CancellationToken ct)
    {
        (string name, bool isLinearizable) = (command.ObjectName(), command.IsLinearizable());
        Task<Versioned<string>> get = await StartAsync(_variables, "var", name, () => node.ReplicatedAsync<string>(name, Either), variable =>
            isLinearizable ? variable.ReadAsync(ct).AsTask() : Task.FromResult(variable.Get()), ct).ConfigureAwait(false);
        Versioned<string> found = await get.ConfigureAwait(false);
        return json => Write(json, found.Version, found.Value);
    }

    private async Task<AnswerFields?> CompareAndSetAsync(CommandFields command, CancellationToken ct)
    {
        (string name, string value, long expect) = (command.ObjectName(), command.AnyJson("value"), command.Number("expect", lowest: 0));
        Task<UpdateOutcome> swap = await StartAsync(_variables, "var", name, () => node.ReplicatedAsync<string>(name, Either), variable =>
            variable.CompareAndSetAsync(expect, value, ct: ct).AsTask(), ct).ConfigureAwait(false);
        UpdateOutcome outcome = await swap.ConfigureAwait(false);
        return json =>
        {
            json.WriteBoolean("swapped", outcome.Applied);
            json.WriteNumber("version", outcome.Version);
        };
    }

    private async Task<AnswerFields?> SetEntryAsync(CommandFields command, CancellationToken ct)
    {
        (string name, string key, string value) = (command.ObjectName(), command.Text("key"), command.AnyJson("value"));
        Task<long> set = await StartEntryAsync(name, dictionary => dictionary.SetAsync(key, value, ct: ct).AsTask(), ct).ConfigureAwait(false);
        long version = await set.ConfigureAwait(false);
        return json => Write(json, version, value);
    }

    private async Task<AnswerFields?> GetEntryAsync(CommandFields command, CancellationToken ct)
    {
        (string name, string key, bool isLinearizable) = (command.ObjectName(), command.Text("key"), command.IsLinearizable());
        Task<Versioned<string>> get = await StartEntryAsync(
            name, dictionary => isLinearizable ? dictionary.ReadAsync(key, ct).AsTask() : Task.FromResult(dictionary.Get(key)), ct).ConfigureAwait(false);
        Versioned<string> found = await get.ConfigureAwait(false);
        return json => Write(json, found.Version, found.Value);
    }

    private async Task<AnswerFields?> RemoveEntryAsync(CommandFields command, CancellationToken ct)
    {
        (string name, string key) = (command.ObjectName(), command.Text("key"));
        Task<bool> remove = await StartEntryAsync(name, dictionary => dictionary.RemoveAsync(key, ct: ct).AsTask(), ct).ConfigureAwait(false);
        bool removed = await remove.ConfigureAwait(false);
        return json => json.WriteBoolean("removed", removed);
    }

    private async Task<AnswerFields?> ListAsync(CommandFields command, CancellationToken ct)
    {
        (string name, bool isLinearizable) = (command.ObjectName(), command.IsLinearizable());
        Task<Dictionary<string, string>> list = await StartEntryAsync(
            name,
            dictionary => isLinearizable ? dictionary.Space.ReadAsync(dictionary.Snapshot, ct).AsTask() : Task.FromResult(dictionary.Snapshot()), ct).ConfigureAwait(false);
        Dictionary<string, string> entries = await list.ConfigureAwait(false);
        return json =>
        {
            json.WriteStartObject("entries");
            foreach ((string key, string value) in entries.OrderBy(e => e.Key, StringComparer.Ordinal))
            {
                json.WritePropertyName(key);
                json.WriteRawValue(value);
            }

            json.WriteEndObject();
        };
    }

    private async Task<AnswerFields?> TransferAsync(CommandFields command, CancellationToken ct)
    {
        (string name, string from, string to) = (command.ObjectName(), command.Text("from"), command.Text("to"));
        (long amount, long initial) = (command.Number("amount", lowest: 0), command.Has("initial") ? command.Number("initial", lowest: 0) : 100);
        Bank bank = await _banks.OpenAsync(name, () => Bank.OpenAsync(node, name), ct).ConfigureAwait(false);
        (bool committed, SortedDictionary<string, long> balances) = await bank.TransferAsync(from, to, amount, initial, ct).ConfigureAwait(false);
        return json =>
        {
            json.WriteBoolean("committed", committed);
            WriteBalances(json, balances);
        };
    }

    private async Task<AnswerFields?> BalancesAsync(CommandFields command, CancellationToken ct)
    {
        string name = command.ObjectName();
        Bank bank = await _banks.OpenAsync(name, () => Bank.OpenAsync(node, name), ct).ConfigureAwait(false);
        SortedDictionary<string, long> balances = await bank.BalancesAsync(ct).ConfigureAwait(false);
        return json => WriteBalances(json, balances);
    }

    private Task<Task<T>> StartEntryAsync<T>(string name, Func<ReplicatedDictionary<string, string>, Task<T>> start, CancellationToken ct) =>
        StartAsync(_dictionaries, "dict", name, () => node.ReplicatedDictionaryAsync<string, string>(name), start, ct);

    // The object is opened, and the operation started, in its turn; it is waited for outside.
    private async Task<Task<T>> StartAsync<TObject, T>(
        Once<TObject> objects, string kind, string name, Func<ValueTask<TObject>> open, Func<TObject, Task<T>> start, CancellationToken ct)
        where TObject : class
    {
        string lane = $"{name}#{kind}";
        if (!_lanes.TryGetValue(lane, out GroupLane? turns))
            _lanes.Add(lane, turns = new GroupLane(lane));
        using GroupLane.Turn turn = await turns.TakeTurnAsync(ct).ConfigureAwait(false);
        return start(await objects.OpenAsync(name, open, ct).ConfigureAwait(false));
    }

    private static void Write(Utf8JsonWriter json, long version, string? value)
    {
        json.WriteNumber("version", version);
        json.WritePropertyName("value");
        json.WriteRawValue(value ?? "null");
    }

    private static void WriteBalances(Utf8JsonWriter json, SortedDictionary<string, long> balances)
    {
        json.WriteStartObject("balances");
        foreach ((string account, long balance) in balances)
            json.WriteNumber(account, balance);
        json.WriteEndObject();
    }

    /// <summary>Accounts in one space; money moves by transactions, so the sum changes only when an account is first used.</summary>
    private sealed class Bank(ReplicatedSpace space, ReplicatedDictionary<string, long> accounts)
    {
        public static async ValueTask<Bank> OpenAsync(GroupNode node, string name)
        {
            ReplicatedSpace space = await node.OpenSpaceAsync(name).ConfigureAwait(false);
            return new Bank(space, await space.OpenDictionaryAsync<string, long>("accounts").ConfigureAwait(false));
        }

        public async Task<(bool Committed, SortedDictionary<string, long> Balances)> TransferAsync(string from, string to, long amount, long initial, CancellationToken ct)
        {
            // Every account is there before it takes part: what a transaction reads is a balance.
            foreach (string account in new[] { from, to }.Where(account => !accounts.ContainsKey(account)))
                await accounts.CompareAndSetAsync(account, 0, initial, ct: ct).ConfigureAwait(false);
            return await space.TransactAsync(
                async transaction =>
                {
                    var balances = new SortedDictionary<string, long>(StringComparer.Ordinal);
                    foreach (string account in new SortedSet<string>([from, to], StringComparer.Ordinal)) // one order: no circles
                        balances[account] = await transaction.ReadAsync(accounts, account, forUpdate: true, ct).ConfigureAwait(false);
                    if (balances[from] < amount)
                        return (false, balances);
                    balances[from] -= amount;
                    balances[to] = checked(balances[to] + amount);
                    foreach ((string account, long balance) in balances)
                        await transaction.WriteAsync(accounts, account, balance, ct).ConfigureAwait(false);
                    return (true, balances);
                },
                ct: ct).ConfigureAwait(false);
        }

        public async Task<SortedDictionary<string, long>> BalancesAsync(CancellationToken ct) =>
            new(await space.ReadAsync(accounts.Snapshot, ct).ConfigureAwait(false), StringComparer.Ordinal);
    }
}

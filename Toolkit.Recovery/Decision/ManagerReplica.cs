// The recovery manager of one node as a replica: the table at every node, fed with the managers' operations in total order.
using System.Collections.Immutable;
using Core.Groups;
using Core.Groups.Replication;

namespace Toolkit.Recovery.Decision;

/// <summary>What a manager asks of its node.</summary>
internal interface IManagerEffects
{
    /// <summary>Who the node is, and what its disk knows. Asked when a membership begins.</summary>
    (ManagerEntry Manager, long Version, IReadOnlyList<CatalogueEntry> Catalogue, IReadOnlyList<Declaration> Declarations) Introduce();

    /// <summary>The table has changed. Must not call back.</summary>
    void OnChanged();
}

/// <summary>The replica.</summary>
internal sealed class ManagerReplica(IManagerEffects effects) : Replica
{
    private readonly BodyWriter _writer = new();
    private NodeId? _introduced;

    public RecoveryTable Table { get; private set; } = new();

    /// <summary>This node's present incarnation.</summary>
    public NodeId Self => Port.Self;

    public void Declare(Declaration declaration)
    {
        Begin(TableOperation.Declare);
        TableFormat.Write(_writer, declaration);
        Port.Multicast(Order.Total, _writer.Written);
    }

    public void Stored(long version)
    {
        Begin(TableOperation.Stored);
        _writer.Varint(version);
        Port.Multicast(Order.Total, _writer.Written);
    }

    public void Override(string group, IReadOnlyCollection<string> chosen)
    {
        Begin(TableOperation.Override);
        _writer.Text(group);
        TableFormat.Write(_writer, chosen);
        Port.Multicast(Order.Total, _writer.Written);
    }

    public void CleanedUp(string group, NodeId failed)
    {
        Begin(TableOperation.CleanedUp);
        _writer.Text(group);
        _writer.Node(failed);
        Port.Multicast(Order.Total, _writer.Written);
    }

    /// <inheritdoc/>
    protected override void Initialize() => Table = new RecoveryTable();

    /// <inheritdoc/>
    protected override void Load(ReadOnlyMemory<byte> state)
    {
        var reader = new BodyReader(state);
        Table = RecoveryTable.Read(ref reader);
    }

    /// <inheritdoc/>
    protected override ReadOnlyMemory<byte> Save()
    {
        var writer = new BodyWriter();
        Table.Write(writer);
        return writer.ToArray();
    }

    /// <inheritdoc/>
    protected override void OnView(View view)
    {
        Table.Keep(view.Members);
        if (_introduced != Port.Self)
        {
            _introduced = Port.Self;
            (ManagerEntry manager, long version, IReadOnlyList<CatalogueEntry> catalogue, IReadOnlyList<Declaration> declarations) = effects.Introduce();
            Begin(TableOperation.Introduce);
            TableFormat.Write(_writer, manager);
            TableFormat.Write(_writer, version, catalogue);
            _writer.Varint(declarations.Count);
            foreach (Declaration declaration in declarations) TableFormat.Write(_writer, declaration);
            Port.Multicast(Order.Total, _writer.Written);
        }

        effects.OnChanged();
    }

    /// <inheritdoc/>
    protected override void OnMessage(in ReplicaMessage message)
    {
        try
        {
            Apply(message.From, message.Body);
        }
        catch (FormatException)
        {
            return; // no version of this library wrote it: all pass it over alike
        }

        effects.OnChanged();
    }

    /// <inheritdoc/>
    protected override void OnEnded(MembershipEnd end)
    {
        _introduced = null;
        effects.OnChanged();
    }

    // Everything is read before anything is changed.
    private void Apply(NodeId from, ReadOnlyMemory<byte> body)
    {
        var reader = new BodyReader(body);
        switch ((TableOperation)reader.Byte())
        {
            case TableOperation.Introduce:
                ManagerEntry manager = TableFormat.ReadManager(ref reader);
                (long version, CatalogueEntry[] catalogue) = TableFormat.ReadCatalogue(ref reader);
                var declarations = new Declaration[reader.Count()];
                for (int i = 0; i < declarations.Length; i++) declarations[i] = TableFormat.ReadDeclaration(ref reader);
                Table.Introduce(from, manager, version, catalogue, declarations);
                break;
            case TableOperation.Declare:
                Table.Declare(from, TableFormat.ReadDeclaration(ref reader));
                break;
            case TableOperation.Stored:
                Table.Stored(from, reader.Varint());
                break;
            case TableOperation.Override:
                string group = reader.Text();
                ImmutableArray<string> chosen = TableFormat.ReadNames(ref reader);
                Table.Override(group, chosen);
                break;
            case TableOperation.CleanedUp:
                string cleaned = reader.Text();
                Table.CleanedUp(cleaned, reader.Node());
                break;
            default:
                throw new FormatException("An operation is not known.");
        }
    }

    private void Begin(TableOperation operation) => _writer.Reset().Byte((byte)operation);
}

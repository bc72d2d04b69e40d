// The managers' operations and parts of their table, in bytes. What cannot be read is a FormatException.
using System.Collections.Immutable;
using Core.Groups.Replication;
using Toolkit.Recovery.Logs;

namespace Toolkit.Recovery.Decision;

/// <summary>The kinds of operations.</summary>
internal enum TableOperation : byte
{
    Introduce = 1,
    Declare = 2,
    Stored = 3,
    Override = 4,
    CleanedUp = 5,
}

/// <summary>Reads and writes.</summary>
internal static class TableFormat
{
    public static void Write(BodyWriter writer, ManagerEntry manager)
    {
        writer.Int64((long)manager.Store);
        writer.Flag(manager.IsElector);
        writer.Varint(manager.Seeds);
    }

    public static ManagerEntry ReadManager(ref BodyReader reader) => new((ulong)reader.Int64(), reader.Flag(), (int)Math.Min(reader.Varint(), int.MaxValue));

    public static void Write(BodyWriter writer, MemberEntry member)
    {
        writer.Byte((byte)member.Phase);
        writer.Varint(member.Attempt);
        writer.Varint(member.Needs);
        writer.Varint(member.Term);
        writer.Flag(member.CleansUp);
        Write(writer, member.Report);
    }

    public static MemberEntry ReadMember(ref BodyReader reader) => new()
    {
        Phase = ReadPhase(ref reader, MemberPhase.Joining), Attempt = reader.Varint(), Needs = reader.Varint(), Term = reader.Varint(), CleansUp = reader.Flag(), Report = ReadReport(ref reader),
    };

    public static void Write(BodyWriter writer, Declaration declaration)
    {
        writer.Text(declaration.Group);
        writer.Byte((byte)declaration.Phase);
        writer.Varint(declaration.Attempt);
        writer.Flag(declaration.CleansUp);
        Write(writer, declaration.Report);
    }

    public static Declaration ReadDeclaration(ref BodyReader reader) =>
        new(reader.Text(), ReadPhase(ref reader, MemberPhase.Active), reader.Varint(), reader.Flag(), ReadReport(ref reader));

    /// <summary>The catalogue as it stands on a disk.</summary>
    public static byte[] EncodeCatalogue(long version, IEnumerable<CatalogueEntry> entries)
    {
        var writer = new BodyWriter();
        Write(writer, version, entries);
        return writer.ToArray();
    }

    public static void Write(BodyWriter writer, long version, IEnumerable<CatalogueEntry> entries)
    {
        CatalogueEntry[] all = [.. entries];
        writer.Byte(LogFormat.Version);
        writer.Varint(version);
        writer.Varint(all.Length);
        foreach (CatalogueEntry entry in all) entry.Write(writer);
    }

    public static (long Version, CatalogueEntry[] Entries) ReadCatalogue(ref BodyReader reader)
    {
        byte format = reader.Byte();
        if (format != LogFormat.Version) throw new FormatException($"The catalogue of logged groups has format {format}; this version reads format {LogFormat.Version}.");
        long version = reader.Varint();
        var entries = new CatalogueEntry[reader.Count()];
        for (int i = 0; i < entries.Length; i++) entries[i] = CatalogueEntry.Read(ref reader);
        return (version, entries);
    }

    public static void Write(BodyWriter writer, IReadOnlyCollection<string> names)
    {
        writer.Varint(names.Count);
        foreach (string name in names) writer.Text(name);
    }

    public static ImmutableArray<string> ReadNames(ref BodyReader reader)
    {
        var names = new string[reader.Count()];
        for (int i = 0; i < names.Length; i++) names[i] = reader.Text();
        return [.. names];
    }

    private static void Write(BodyWriter writer, LogReport? report)
    {
        writer.Flag(report is not null);
        if (report is null) return;
        writer.Varint(report.Point.Forced);
        writer.Varint(report.Point.Term);
        writer.Varint(report.Point.View);
        writer.Varint(report.Point.Count);
        Write(writer, report.Members);
        writer.Flag(report.Cut is not null);
        if (report.Cut is not { } cut) return;
        writer.Text(cut.ViewId);
        writer.Varint(cut.Number);
    }

    private static LogReport? ReadReport(ref BodyReader reader) => reader.Flag()
        ? new LogReport(
            new LogPoint(reader.Varint(), reader.Varint(), reader.Varint(), reader.Varint()), ReadNames(ref reader),
            reader.Flag() ? new CutPoint(reader.Text(), reader.Varint()) : null) : null;

    private static MemberPhase ReadPhase(ref BodyReader reader, MemberPhase last) =>
        (MemberPhase)reader.Byte() is var phase && phase <= last ? phase : throw new FormatException("A phase is not known.");
}

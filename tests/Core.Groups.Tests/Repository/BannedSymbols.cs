// The list of banned calls (Core.Groups/BannedSymbols.txt), read as its analyzer reads it: N a namespace with all below it,
// T a type, P a property, M a method.
using System.Reflection;

namespace Core.Groups.Tests.Repository;

internal sealed class BannedSymbols
{
    private readonly HashSet<string> _namespaces = [];
    private readonly HashSet<string> _members = [];

    public BannedSymbols(IEnumerable<string> lines)
    {
        foreach (string symbol in lines.Select(line => line.Split(';')[0].Trim()).Where(symbol => symbol.Length > 0))
        {
            string name = symbol[2..].Split('(')[0];
            switch (symbol[0])
            {
                case 'N':
                    _namespaces.Add(name);
                    break;
                case 'P':
                    _members.Add(name.Insert(name.LastIndexOf('.') + 1, "get_"));
                    break;
                default:
                    _members.Add(name);
                    break;
            }
        }
    }

    public static BannedSymbols OfTheLibrary { get; } = new(RepositoryFiles.ReadOne("Core.Groups/BannedSymbols.txt").Lines);

    public bool Contains(MemberInfo member)
    {
        Type? type = member as Type ?? member.DeclaringType;
        string typeName = type?.FullName ?? type?.Name ?? "";
        return _members.Contains(typeName) || _members.Contains($"{typeName}.{member.Name}")
            || _namespaces.Any(name => $"{type?.Namespace}.".StartsWith(name + ".", StringComparison.Ordinal));
    }
}

// What a compiled type refers to: in its base types, its members' signatures, and every instruction of its methods.
// Keeps: what the source hides (a lock's Monitor, an await's builder, a var) is seen here as well.
using System.Reflection;
using System.Reflection.Emit;

namespace Core.Groups.Tests.Repository;

internal static class References
{
    private const BindingFlags Declared =
        BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Static | BindingFlags.Instance | BindingFlags.DeclaredOnly;

    private static readonly Dictionary<short, OpCode> OpCodesByValue = typeof(OpCodes)
        .GetFields(BindingFlags.Public | BindingFlags.Static).Select(field => (OpCode)field.GetValue(null)!).ToDictionary(code => code.Value);

    /// <summary>The types, methods and fields that a type refers to; nested types have their own.</summary>
    public static IReadOnlySet<MemberInfo> Of(Type type)
    {
        HashSet<MemberInfo> found = [];
        Add(found, type.BaseType);
        foreach (Type contract in type.GetInterfaces()) Add(found, contract);
        foreach (FieldInfo field in type.GetFields(Declared)) Add(found, field.FieldType);
        foreach (MethodBase method in type.GetMethods(Declared).Concat<MethodBase>(type.GetConstructors(Declared)))
        {
            AddSignature(found, method);
            if (method.GetMethodBody() is not { } body) continue;
            foreach (LocalVariableInfo local in body.LocalVariables) Add(found, local.LocalType);
            foreach (ExceptionHandlingClause clause in body.ExceptionHandlingClauses.Where(c => c.Flags == ExceptionHandlingClauseOptions.Clause))
            {
                Add(found, clause.CatchType);
            }
            foreach (MemberInfo member in MembersInInstructions(method, body)) AddMember(found, member);
        }
        return found;
    }

    private static void AddMember(HashSet<MemberInfo> found, MemberInfo member)
    {
        if (member is Type type)
        {
            Add(found, type);
            return;
        }
        found.Add(member);
        Add(found, member.DeclaringType);
        if (member is FieldInfo field) Add(found, field.FieldType);
        if (member is MethodBase method) AddSignature(found, method);
    }

    private static void AddSignature(HashSet<MemberInfo> found, MethodBase method)
    {
        if (method is MethodInfo { ReturnType: { } result }) Add(found, result);
        foreach (ParameterInfo parameter in method.GetParameters()) Add(found, parameter.ParameterType);
        if (method.IsGenericMethod)
        {
            foreach (Type argument in method.GetGenericArguments()) Add(found, argument);
        }
    }

    private static void Add(HashSet<MemberInfo> found, Type? type)
    {
        while (type is { HasElementType: true }) type = type.GetElementType();
        if (type is null || type.IsGenericParameter) return;
        found.Add(type.IsGenericType ? type.GetGenericTypeDefinition() : type);
        foreach (Type argument in type.GetGenericArguments().Where(a => !a.IsGenericParameter)) Add(found, argument);
    }

    private static IEnumerable<MemberInfo> MembersInInstructions(MethodBase method, MethodBody body)
    {
        byte[] code = body.GetILAsByteArray() ?? [];
        Type[]? typeArguments = method.DeclaringType?.GetGenericArguments();
        Type[]? methodArguments = method.IsGenericMethod ? method.GetGenericArguments() : null;
        for (int at = 0; at < code.Length;)
        {
            OpCode operation = OpCodesByValue[code[at] == 0xFE ? (short)((0xFE << 8) | code[at + 1]) : code[at]];
            at += operation.Size;
            if (operation.OperandType is OperandType.InlineMethod or OperandType.InlineField or OperandType.InlineType or OperandType.InlineTok
                && method.Module.ResolveMember(BitConverter.ToInt32(code, at), typeArguments, methodArguments) is { } member)
            {
                yield return member;
            }
            at += OperandSize(operation.OperandType, code, at);
        }
    }

    private static int OperandSize(OperandType type, byte[] code, int at) => type switch
    {
        OperandType.InlineNone => 0,
        OperandType.ShortInlineBrTarget or OperandType.ShortInlineI or OperandType.ShortInlineVar => 1,
        OperandType.InlineVar => 2,
        OperandType.InlineI8 or OperandType.InlineR => 8,
        OperandType.InlineSwitch => 4 + (4 * BitConverter.ToInt32(code, at)),
        _ => 4,
    };
}

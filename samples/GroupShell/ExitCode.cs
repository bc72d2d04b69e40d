using Core.Groups;

namespace GroupShell;

/// <summary>What the process ends with.</summary>
internal static class ExitCode
{
    public const int Stopped = 0;
    public const int Failed = 1;
    public const int WrongOptions = 2;
    public const int NameTaken = 3;
    public const int Crashed = 137; // as a process killed by SIGKILL

    public static int Of(Exception error) => error switch
    {
        NameTakenException => NameTaken,
        ArgumentException => WrongOptions,
        _ => Failed,
    };
}

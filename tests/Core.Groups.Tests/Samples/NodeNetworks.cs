// Network namespaces of nodes a, b, c, …, made without any rights: a user namespace of its own holds them. All are behind one bridge, and
// there is a second one for who is to be apart. Cutting a node off takes its end out of its bridge: everything vanishes, in both
// directions, and no connection is reset.
// Runs where such namespaces can be made (Linux, util-linux, iproute2); elsewhere it says why not.
using System.Diagnostics;

namespace Core.Groups.Tests.Samples;

internal sealed class NodeNetworks : IAsyncDisposable
{
    private const string Script =
        """
        set -e
        mount -t tmpfs none /run
        for b in br0 br1; do
          ip link add $b type bridge
          ip link set $b up
        done
        i=1
        for n in $*; do
          ip netns add $n
          ip link add dev port-$n type veth peer name eth0 netns $n
          ip link set dev port-$n master br0 up
          ip netns exec $n ip addr add 10.77.0.$i/24 dev eth0
          ip netns exec $n ip link set eth0 up
          ip netns exec $n ip link set lo up
          i=$((i+1))
        done
        echo ready
        read end
        """;

    private readonly Process _holder;

    private NodeNetworks(Process holder) => _holder = holder;

    /// <summary>Makes them for that many nodes; null with the reason where they cannot be made.</summary>
    public static async Task<(NodeNetworks? Networks, string Reason)> MakeAsync(int nodes)
    {
        if (!OperatingSystem.IsLinux()) return (null, "network namespaces are Linux's");
        Process? holder = null;
        try
        {
            holder = Process.Start(new ProcessStartInfo("unshare", ["-Urnm", "sh", "-c", Script, "sh", .. Enumerable.Range(0, nodes).Select(i => $"{(char)('a' + i)}")])
            {
                RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true,
            })!;
            Task<string> errors = holder.StandardError.ReadToEndAsync();
            string? line = await holder.StandardOutput.ReadLineAsync().WaitAsync(TimeSpan.FromSeconds(20));
            if (line == "ready") return (new NodeNetworks(holder), "");
            return (null, await errors);
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            holder?.Dispose();
            return (null, e.Message);
        }
    }

    /// <summary>The address of a node: a, b or c.</summary>
    public static string AddressOf(char node) => $"10.77.0.{node - 'a' + 1}:7101";

    /// <summary>The command in place of which a program runs in a node's network.</summary>
    public string[] In(char node) => [.. Enter, "ip", "netns", "exec", $"{node}"];

    public Task CutOffAsync(char node) => RunAsync("ip", "link", "set", "dev", $"port-{node}", "nomaster");

    /// <summary>Puts a node behind the second bridge: it reaches those that are there, and nobody else.</summary>
    public Task SetApartAsync(char node) => RunAsync("ip", "link", "set", "dev", $"port-{node}", "master", "br1");

    public Task HealAsync(char node) => RunAsync("ip", "link", "set", "dev", $"port-{node}", "master", "br0");

    public async ValueTask DisposeAsync()
    {
        _holder.StandardInput.Close();
        await _holder.WaitForExitAsync();
        _holder.Dispose();
    }

    private string[] Enter => ["nsenter", "-t", $"{_holder.Id}", "-U", "-n", "-m", "--preserve-credentials"];

    private async Task RunAsync(params string[] command)
    {
        using Process run = Process.Start(Enter[0], [.. Enter[1..], .. command]);
        await run.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(20));
        Assert.Equal(0, run.ExitCode);
    }
}

using System.Text;
using Core.Groups.Transport;
using static Core.Groups.Tests.Transport.TestPeer;

namespace Core.Groups.Tests.Transport;

/// <summary>Who may connect, and what those are told who may not.</summary>
public sealed class HandshakeTests
{
    private static readonly ReadOnlyMemory<byte> OldKey = Encoding.UTF8.GetBytes("the old cluster key"), NewKey = Encoding.UTF8.GetBytes("the new cluster key");

    private static TcpTransportOptions Changed(string name, string change) => Options(name) is var plain ? change switch
    {
        "plain" => plain,
        "cluster" => plain with { ClusterName = "other" },
        "version 2-3" => plain with { MinimumVersion = 2, MaximumVersion = 3 },
        "version 1-3" => plain with { MaximumVersion = 3 },
        "old key" => plain with { Keys = [OldKey] },
        "new key" => plain with { Keys = [NewKey] },
        "new and old key" => plain with { Keys = [NewKey, OldKey] },
        "old and new key" => plain with { Keys = [OldKey, NewKey] },
        "seeds 1 2" => plain with { Seeds = ["127.0.0.1:1", "127.0.0.1:2"] },
        "seeds 2 1" => plain with { Seeds = ["LOCALHOST:2", "127.0.0.1:1", "127.0.0.1:1"] },
        "seeds 1 3" => plain with { Seeds = ["127.0.0.1:1", "127.0.0.1:3"] },
        "minimum 2" => plain with { Seeds = ["127.0.0.1:1", "127.0.0.1:2"], MinimumPrimaryWeight = 2 },
        "mode 1" => plain with { Mode = 1 },
        "small frames" => plain with { MaximumFrame = 2048 },
        _ => throw new ArgumentException(change),
    } : null!;

    [Theory]
    [InlineData("plain", "cluster", nameof(HandshakeError.WrongCluster), "'test'")]
    [InlineData("plain", "version 2-3", nameof(HandshakeError.VersionMismatch), "no common version")]
    [InlineData("old key", "new key", nameof(HandshakeError.WrongKey), "proof of the cluster key is wrong")]
    [InlineData("plain", "old key", nameof(HandshakeError.WrongKey), "none")]
    [InlineData("seeds 1 2", "seeds 1 3", nameof(HandshakeError.SettingsMismatch), "the seeds differ: 2 here, 2 there")]
    [InlineData("seeds 1 2", "minimum 2", nameof(HandshakeError.SettingsMismatch), "minimum primary weights differ")]
    [InlineData("plain", "mode 1", nameof(HandshakeError.SettingsMismatch), "modes differ")]
    [InlineData("plain", "small frames", nameof(HandshakeError.SettingsMismatch), "maximum frames differ")]
    public async Task Who_does_not_belong_is_refused_with_a_reason_that_both_log(string mine, string theirs, string error, string reason)
    {
        await using TestPeer a = await StartAsync(Changed("a", mine)), b = await StartAsync(Changed("b", theirs));
        foreach ((TestPeer dialer, TestPeer other) in new[] { (a, b), (b, a) })
        {
            dialer.Transport.Dial(other.Address);

            (string address, HandshakeError got, string why) = await Next(dialer.Refusals);
            Assert.Equal((other.Address, error), (address, got.ToString()));
            Assert.Contains(reason, why, StringComparison.Ordinal);
            Assert.Equal((other.Address, false, why), await Next(dialer.FailedDials));
        }
        await a.DisposeAsync();
        await b.DisposeAsync();
        foreach (TestPeer peer in new[] { a, b })
        {
            Assert.Equal(2, peer.Log.Count(line => line.StartsWith("Warning: Refused", StringComparison.Ordinal) && line.Contains(error, StringComparison.Ordinal)));
            Assert.Equal(0, peer.Connected.Reader.Count);
        }
    }

    [Theory]
    [InlineData("plain", "version 1-3")]
    [InlineData("old key", "old key")]
    [InlineData("old key", "new and old key")]
    [InlineData("new and old key", "new key")]
    [InlineData("old and new key", "new key")]
    [InlineData("seeds 1 2", "seeds 2 1")]
    [InlineData("seeds 1 2", "plain")]
    [InlineData("minimum 2", "plain")]
    public async Task Who_belongs_is_let_in_from_both_sides(string mine, string theirs)
    {
        await using TestPeer a = await StartAsync(Changed("a", mine)), b = await StartAsync(Changed("b", theirs));
        await ConnectAsync(a, b);
        await ConnectAsync(b, a);
    }

    [Fact]
    public async Task A_refused_stranger_disturbs_nobody()
    {
        await using TestPeer a = await StartAsync("a"), b = await StartAsync("b"), stranger = await StartAsync(Changed("c", "cluster"));
        (int toB, _) = await ConnectAsync(a, b);

        stranger.Transport.Dial(a.Address);
        await Next(stranger.Refusals);

        a.Send(toB, [1]);
        await Next(b.Frames);
        Assert.Equal((0, 0), (a.Refusals.Reader.Count, a.Disconnected.Reader.Count));
    }

    [Theory]
    [InlineData(1, 2)]
    [InlineData(2, 1)]
    public async Task The_name_of_a_live_node_is_taken_for_who_dials_it(long first, long second)
    {
        await using TestPeer holder = await StartAsync(Options("a", first)), newcomer = await StartAsync(Options("a", second)), b = await StartAsync("b");
        (int toB, _) = await ConnectAsync(holder, b);

        newcomer.Transport.Dial(holder.Address);

        (_, HandshakeError error, string reason) = await Next(newcomer.Refusals);
        Assert.Equal(HandshakeError.NameTaken, error);
        Assert.Contains($"two nodes have the name 'a': a.{second}", reason, StringComparison.Ordinal);
        holder.Send(toB, [1]);
        await Next(b.Frames);
        Assert.Equal((0, 0), (holder.Refusals.Reader.Count, holder.Disconnected.Reader.Count));
    }

    [Theory]
    [InlineData("plain")]
    [InlineData("old key")]
    public async Task Replayed_bytes_of_a_good_handshake_fail(string kind)
    {
        TcpTransportOptions options = Changed("b", kind);
        await using TestPeer a = await StartAsync(Changed("a", kind));
        byte[] hello = RawPeer.Hello(options).Encode();
        byte[] proof;
        using (RawPeer good = await RawPeer.ConnectAsync(a.Address))
        {
            await good.SendAsync(HandshakeRecord.Hello, hello);
            (_, byte[] answer) = await good.ReceiveAsync();
            proof = new HandshakeProof(options.Keys).Make(byDialer: true, hello, answer);
            await good.SendAsync(HandshakeRecord.Proof, proof);
            await Next(a.Connected);
        }
        await Next(a.Disconnected);

        using RawPeer replay = await RawPeer.ConnectAsync(a.Address);
        await replay.SendAsync(HandshakeRecord.Hello, hello);
        await replay.SendAsync(HandshakeRecord.Proof, proof);

        Assert.Equal(HandshakeError.WrongKey, (await replay.ReceiveRefusalAsync()).Error);
        Assert.Equal(0, a.Connected.Reader.Count);
    }

    [Fact]
    public async Task A_proof_sent_back_to_its_maker_fails()
    {
        TcpTransportOptions options = Changed("b", "old key");
        await using TestPeer a = await StartAsync(Changed("a", "old key"));
        using RawPeer mirror = await RawPeer.ConnectAsync(a.Address);

        await mirror.SendAsync(HandshakeRecord.Hello, RawPeer.Hello(options).Encode());
        await mirror.ReceiveAsync();
        (_, byte[] proof) = await mirror.ReceiveAsync();
        await mirror.SendAsync(HandshakeRecord.Proof, proof);

        Assert.Equal(HandshakeError.WrongKey, (await mirror.ReceiveRefusalAsync()).Error);
    }

    [Fact]
    public void A_proof_is_bound_to_its_key_its_direction_and_every_byte_of_both_hellos()
    {
        byte[] dialer = [1, 2, 3], acceptor = [4, 5];
        var proof = new HandshakeProof([OldKey]);
        byte[] good = proof.Make(byDialer: true, dialer, acceptor);

        Assert.True(proof.Verify(good, byDialer: true, dialer, acceptor));
        Assert.True(new HandshakeProof([NewKey, OldKey]).Verify(good, byDialer: true, dialer, acceptor));
        Assert.False(new HandshakeProof([NewKey]).Verify(good, byDialer: true, dialer, acceptor));
        Assert.False(new HandshakeProof([]).Verify(good, byDialer: true, dialer, acceptor));
        Assert.False(proof.Verify(good, byDialer: false, dialer, acceptor));
        Assert.False(proof.Verify(good, byDialer: true, acceptor, dialer));
        Assert.False(proof.Verify(good, byDialer: true, [1, 2], [3, 4, 5]));
        Assert.False(proof.Verify(good, byDialer: true, [1, 2, 9], acceptor));
        Assert.False(proof.Verify(good.AsSpan(0, 31), byDialer: true, dialer, acceptor));
        Assert.False(proof.Verify([], byDialer: true, dialer, acceptor));
        Assert.False(proof.Verify(new byte[96], byDialer: true, dialer, acceptor));
    }

    [Theory]
    [InlineData("0.0.0.0:0")]
    [InlineData("[::]:0")]
    public async Task Without_a_key_only_loopback_is_listened_on(string listen)
    {
        TcpTransportOptions open = Options("a") with { Listen = listen };
        await using var refused = new TcpTransport(open, await StartAsync("log"));
        var error = await Assert.ThrowsAsync<ArgumentException>(() => refused.StartAsync(null!, CancellationToken.None).AsTask());
        Assert.Contains("without a cluster key", error.Message, StringComparison.Ordinal);

        await using TestPeer insecure = await StartAsync(open with { AllowInsecure = true });
        await using TestPeer keyed = await StartAsync(open with { Keys = [OldKey], AdvertisedAddress = "host.example:7101" });
        Assert.True(HostPort.TryParse(insecure.Address, out HostPort reachable) && reachable.Port > 0 && reachable.Host != "0.0.0.0");
        Assert.Equal("host.example:7101", keyed.Address);
    }

    [Theory]
    [InlineData("127.0.0.1:0")]
    [InlineData("localhost:0")]
    [InlineData("[::1]:0")]
    public async Task Loopback_needs_no_key(string listen)
    {
        await using TestPeer a = await StartAsync(Options("a") with { Listen = listen }), b = await StartAsync("b");
        await ConnectAsync(b, a);
    }

    [Fact]
    public async Task An_address_in_use_is_a_clear_error()
    {
        await using TestPeer a = await StartAsync("a");
        await using var second = new TcpTransport(Options("b") with { Listen = a.Address }, a);
        IOException error = await Assert.ThrowsAsync<IOException>(() => second.StartAsync(a, CancellationToken.None).AsTask());
        Assert.Contains($"Cannot listen on {a.Address}", error.Message, StringComparison.Ordinal);
    }
}

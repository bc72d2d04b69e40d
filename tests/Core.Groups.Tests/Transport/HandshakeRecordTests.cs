using Core.Groups.Transport;
using static Core.Groups.Tests.Transport.TestPeer;

namespace Core.Groups.Tests.Transport;

/// <summary>The encoding of the handshake's records, addresses and options.</summary>
public sealed class HandshakeRecordTests
{
    private static readonly TcpTransportOptions Node =
        Options("näme", 1234567890123) with { Site = "NewYork", Seeds = ["127.0.0.1:1"], MinimumPrimaryWeight = 2, Mode = 1 };

    [Fact]
    public void A_hello_reads_back_as_it_was_written_and_grows_at_its_end()
    {
        Hello hello = RawPeer.Hello(Node);
        byte[] body = hello.Encode();

        foreach (byte[] received in new[] { body, [.. body, 1, 2, 3] })
        {
            Hello? read = Hello.TryDecode(received);
            Assert.Equal(hello with { Nonce = default }, read! with { Nonce = default });
            Assert.Equal(hello.Nonce.ToArray(), read.Nonce.ToArray());
        }
    }

    [Fact]
    public void A_hello_that_is_cut_off_anywhere_is_none()
    {
        byte[] body = RawPeer.Hello(Node).Encode();
        for (int length = 0; length < body.Length; length++)
        {
            Assert.Null(Hello.TryDecode(body.AsSpan(0, length)));
        }
    }

    [Fact]
    public void No_bytes_make_the_decoders_throw()
    {
        byte[] good = RawPeer.Hello(Node).Encode();
        int accepted = 0;
        for (int seed = 0; seed < 20_000; seed++)
        {
            var random = new Random(seed);
            byte[] bytes = seed % 2 == 0 ? [.. good] : new byte[random.Next(300)];
            if (seed % 2 == 1)
            {
                random.NextBytes(bytes);
            }
            for (int changes = random.Next(4); changes > 0 && bytes.Length > 0; changes--)
            {
                bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            }
            accepted += Hello.TryDecode(bytes) is null ? 0 : 1;
            (_, string reason) = HandshakeHeader.DecodeRefusal(bytes);
            Assert.DoesNotContain(reason, char.IsControl);
        }
        Assert.InRange(accepted, 1000, 10_000);
    }

    [Theory]
    [InlineData("name")]
    [InlineData("cluster")]
    [InlineData("address")]
    [InlineData("site")]
    [InlineData("weight")]
    public void A_hello_with_a_bad_field_is_none(string field)
    {
        Hello good = RawPeer.Hello(Node);
        Hello bad = field switch
        {
            "name" => good with { Peer = good.Peer with { Id = new NodeId("line\nbreak", 1) } },
            "cluster" => good with { Cluster = "" },
            "address" => good with { Peer = good.Peer with { Address = "nowhere" } },
            "site" => good with { Peer = good.Peer with { Site = new string('x', 201) } },
            _ => good with { Peer = good.Peer with { Weight = -1 } },
        };
        Assert.NotNull(Hello.TryDecode(good.Encode()));
        Assert.Null(Hello.TryDecode(bad.Encode()));
    }

    [Theory]
    [InlineData("127.0.0.1:7101", "127.0.0.1:7101")]
    [InlineData("localhost:7101", "127.0.0.1:7101")]
    [InlineData("Host.Example:1", "host.example:1")]
    [InlineData("[::1]:7101", "[::1]:7101")]
    [InlineData("0.0.0.0:0", "0.0.0.0:0")]
    [InlineData("127.0.0.1", null)]
    [InlineData("127.0.0.1:65536", null)]
    [InlineData("127.0.0.1:-1", null)]
    [InlineData(":7101", null)]
    [InlineData("::1:7101", null)]
    [InlineData("[host]:7101", null)]
    [InlineData("a b:7101", null)]
    [InlineData("", null)]
    [InlineData(null, null)]
    public void An_address_is_host_and_port(string? text, string? expected) =>
        Assert.Equal(expected, HostPort.TryParse(text, out HostPort address) ? address.ToString() : null);

    public static TheoryData<string, object> BadOptions => new()
    {
        { "Id", Node with { Id = new NodeId("", 1) } },
        { "ClusterName", Node with { ClusterName = "" } },
        { "Site", Node with { Site = "a\tb" } },
        { "Listen", Node with { Listen = "7101" } },
        { "AdvertisedAddress", Node with { AdvertisedAddress = "host:0" } },
        { "Seeds", Node with { Seeds = ["host"] } },
        { "Weight", Node with { Weight = -1 } },
        { "MinimumPrimaryWeight", Node with { MinimumPrimaryWeight = -1 } },
        { "Keys", Node with { Keys = [new byte[15]] } },
        { "Keys", Node with { Keys = [new byte[16], new byte[16], new byte[16]] } },
        { "MaximumFrame", Node with { MaximumFrame = 100 } },
        { "MaximumPending", Node with { MaximumPending = 1024 } },
        { "MaximumHandshakes", Node with { MaximumHandshakes = 0 } },
        { "MinimumVersion", Node with { MinimumVersion = 2 } },
        { "time-outs", Node with { HandshakeTimeout = TimeSpan.Zero } },
    };

    [Theory]
    [MemberData(nameof(BadOptions))]
    public void An_option_that_cannot_be_meant_is_named(string option, object options)
    {
        var error = Assert.Throws<ArgumentException>(((TcpTransportOptions)options).Validate);
        Assert.StartsWith(option, error.Message, StringComparison.Ordinal);
        Node.Validate();
    }
}

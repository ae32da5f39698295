# SPDX-License-Identifier: GPL-3.0-or-later
"""The judge's arithmetic on the golden vectors, both ways, and at the edges of each port range."""

import ipaddress
import json
import subprocess

import pytest

import judge_line

VECTORS = json.loads((judge_line.HERE.parents[1] / "Fixtures" / "vectors.json").read_text())
RULE_FILE = judge_line.HERE / "rules.txt"
LINE_VECTORS = VECTORS["vectors"]
MATCHED = [vector for vector in LINE_VECTORS if vector["expect"] is not None]
UNMATCHED = [vector for vector in LINE_VECTORS if vector["expect"] is None]


class Arithmetic:
    """A dialogue with labbr --mode map-arith."""

    def __init__(self, binary, *options):
        self.process = subprocess.Popen(
            [str(binary), "--mode", "map-arith", *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, *words):
        self.process.stdin.write(" ".join(str(word) for word in words) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(timeout=5) == 0
        self.process.stdout.close()


@pytest.fixture(scope="module")
def japan(binaries):
    """All rules of all lines at once, so that the longest match is tested too."""
    arithmetic = Arithmetic(binaries, "--rule-file", str(RULE_FILE))
    yield arithmetic
    arithmetic.close()


@pytest.fixture
def empty(binaries):
    arithmetic = Arithmetic(binaries)
    yield arithmetic
    arithmetic.close()


def same(address, other):
    return ipaddress.IPv6Address(address) == ipaddress.IPv6Address(other)


def test_the_vectors_are_there():
    assert len(MATCHED) > 90 and len(UNMATCHED) >= 6
    assert len(VECTORS["generic_vectors"]) == 10 and len(VECTORS["fmr_vectors"]["items"]) > 20


@pytest.mark.parametrize("vector", MATCHED, ids=lambda vector: vector["user_prefix"])
def test_line_vector(japan, vector):
    expect = vector["expect"]
    answer = japan.ask("ce", vector["user_prefix"])
    assert answer["ipv4"] == expect["ipv4"]
    assert answer["psid"] == expect["psid"]
    assert same(answer["ce"], expect["ce"])
    assert answer["ranges"] == expect["port_ranges"]
    assert sum(last - first + 1 for first, last in answer["ranges"]) == expect["ports"]


@pytest.mark.parametrize("vector", UNMATCHED, ids=lambda vector: vector["user_prefix"])
def test_line_vector_without_a_rule(japan, vector):
    assert japan.ask("ce", vector["user_prefix"]) == {"error": "no rule"}


@pytest.mark.parametrize("vector", MATCHED, ids=lambda vector: vector["user_prefix"])
def test_way_back_and_verdicts(japan, vector):
    """Each edge of each range leads back to the CE and is accepted; the ports beside it are not."""
    expect = vector["expect"]
    ce, ipv4 = expect["ce"], expect["ipv4"]
    for first, last in expect["port_ranges"]:
        for port in (first, last):
            assert same(japan.ask("find", ipv4, port)["ce"], ce)
            assert japan.ask("judge", ce, ipv4, port) == {"verdict": "ok"}
        for port in (first - 1, (last + 1) % 65536):
            assert japan.ask("judge", ce, ipv4, port) == {"verdict": "port-set"}
            found = japan.ask("find", ipv4, port)["ce"]
            assert found is None or not same(found, ce)
    port = expect["port_ranges"][0][0]
    other = ipaddress.IPv4Address(ipv4) + 1
    assert japan.ask("judge", ce, other, port) == {"verdict": "inner-source"}
    number = int(ipaddress.IPv6Address(ce))
    # Any bit outside the end-user prefix that differs: subnet, padding, address, PSID.
    for position in (0, 7, 8, 23, 24, 55, 56, 63, 64, 71):
        wrong = ipaddress.IPv6Address(number ^ 1 << position)
        assert japan.ask("judge", wrong, ipv4, port) == {"verdict": "outer-source"}


@pytest.mark.parametrize("vector", VECTORS["fmr_vectors"]["items"], ids=lambda v: f"{v['dst_ipv4']}:{v['dst_port']}")
def test_forwarding_vector(japan, vector):
    answer = japan.ask("find", vector["dst_ipv4"], vector["dst_port"])
    if vector["ce"] is None:
        assert answer == {"ce": None}
    else:
        assert same(answer["ce"], vector["ce"]) and answer["psid"] == vector["psid"]


@pytest.mark.parametrize("layout", ["rfc7597", "draft-03"])
@pytest.mark.parametrize("vector", VECTORS["generic_vectors"], ids=lambda vector: vector["name"])
def test_generic_vector(empty, vector, layout):
    rule = vector["rule"]
    text = (
        f"{rule['ipv6']},{rule['ipv4']},ea={rule['ea_bits']},offset={rule['psid_offset']},"
        f"psid={rule['psid_len']},iid={layout}"
    )
    assert empty.ask("rule", text) == {"ok": True}
    answer = empty.ask("ce", vector["user_prefix"])
    length = int(vector["user_prefix"].split("/")[1])
    if length < int(rule["ipv6"].split("/")[1]) + rule["ea_bits"]:
        assert answer == {"error": "user prefix too short"}
        return
    assert answer["ipv4"] == vector["ipv4"]
    assert same(answer["ce"], vector["ce"][layout])
    assert answer["ranges"] == vector["port_ranges"]


def test_whole_prefixes(empty):
    """Fewer EA bits than the IPv4 suffix: each CE has an IPv4 prefix of its own and all its ports."""
    assert empty.ask("rule", "2001:db8::/40,192.0.2.0/24,ea=4,offset=6,psid=0,iid=rfc7597") == {"ok": True}
    answer = empty.ask("ce", "2001:db8:30::/44")
    assert (answer["ipv4"], answer["ipv4Length"], answer["ranges"]) == ("192.0.2.48", 28, None)
    assert same(answer["ce"], "2001:db8:30::c000:230:0")
    assert same(empty.ask("find", "192.0.2.63", 7)["ce"], answer["ce"])
    assert empty.ask("judge", answer["ce"], "192.0.2.63", 7) == {"verdict": "ok"}
    assert empty.ask("judge", answer["ce"], "192.0.2.64", 7) == {"verdict": "inner-source"}


def test_longest_match(empty):
    assert empty.ask("rule", "2001:db8::/32,203.0.113.0/24,ea=16,offset=4,psid=8,iid=draft-03") == {"ok": True}
    assert empty.ask("rule", "2001:db8:4000::/40,192.0.2.0/24,ea=16,offset=4,psid=8,iid=draft-03") == {"ok": True}
    assert empty.ask("ce", "2001:db8:4012:3400::/56")["ipv4"] == "192.0.2.18"
    assert empty.ask("ce", "2001:db8:1234::/48")["ipv4"] == "203.0.113.18"


@pytest.mark.parametrize(
    "text",
    [
        "2001:db8::/40",
        "2001:db8::/40,192.0.2.0/24",
        "2001:db8::/40,192.0.2.0/24,ea=16,offset=6,psid=8",
        "2001:db8::/40,192.0.2.0/24,ea=16,offset=6,psid=7,iid=rfc7597",
        "2001:db8::/40,192.0.2.1/24,ea=16,offset=6,psid=8,iid=rfc7597",
        "2001:db8:1::/40,192.0.2.0/24,ea=16,offset=6,psid=8,iid=rfc7597",
        "2001:db8::/56,192.0.2.0/24,ea=16,offset=6,psid=8,iid=rfc7597",
        "2001:db8::/40,192.0.2.0/24,ea=16,offset=9,psid=8,iid=rfc7597",
        "2001:db8::/40,192.0.2.0/24,ea=16,ea=16,offset=6,psid=8,iid=rfc7597",
        "2001:db8::/40,192.0.2.0/24,ea=-1,offset=6,psid=8,iid=rfc7597",
        "2001:db8::/40,192.0.2.0/33,ea=16,offset=6,psid=8,iid=rfc7597",
        "2001:db8::%1/40,192.0.2.0/24,ea=16,offset=6,psid=8,iid=rfc7597",
        "2001:db8::/40,192.0.2.0/24,ea=16,offset=6,psid=8,iid=draft-04",
        "2001:db8::/40,192.0.2.0/24,ea=16,offset=6,psid=8,iid=rfc7597,more=1",
    ],
)
def test_bad_rule_is_refused(empty, text):
    assert "error" in empty.ask("rule", text)
    assert empty.ask("ce", "2001:db8:12:3400::/56") == {"error": "no rule"}

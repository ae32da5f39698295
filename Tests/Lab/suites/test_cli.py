# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line without a line: what it prints, what it refuses, and with which exit status.

    ce        a namespace of its own, with nothing but the loopback device
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.daemon import Routerd
from lab.isps import MAP_SUBSCRIBERS, Subscriber
from lab.netns import Namespace
from lab.waiting import patient

GOLDEN = {
    "profile": "biglobe",
    "rule": "2404:7a82:4c00::/38",
    "ipv4": "133.209.13.2",
    "psid": 65,
    "ceAddress": "2404:7a82:4d02:4100:85:d10d:200:4100",
    "borderRelay": "2001:260:700:1::1:275",
    "portRanges": [[first, first + 15] for first in range(5136, 65536, 4096)],
    "portCount": 240,
}

GARBAGE = [
    "", " ", "::", "::/0", "2404:7a82:4d02:4100::/129", "2404:7a82:4d02:4100::/-1", "2404:7a82:4d02:4100::/5x",
    "2404:7a82:4d02:4100::/", "2404:7a82:4d02:4100::%eth0/56", "2404:7a82:4d02:4100::/56%eth0", "192.0.2.1/24",
    "2404:7a82:4d02:4100:1::/56", "2404::7a82::/56", "12345::/56", "g::/56", "2404:7a82:4d02:4100::/056",
    "[2404:7a82:4d02:4100::]/56", "2404:7a82:4d02:4100::/56 ", "２４０４::/56", "a" * 5000,
]  # fmt: skip


@pytest.fixture(scope="module")
def routerd() -> Iterator[Routerd]:
    with Namespace("ce") as ce, Routerd(ce) as routerd:
        yield routerd


def test_calc_prints_the_golden_json(routerd: Routerd) -> None:
    out = routerd.cli("calc", "2404:7a82:4d02:4100::/56", "--json").stdout
    assert json.loads(out) == GOLDEN
    assert list(json.loads(out)) == list(GOLDEN), "the keys stand in another order"
    assert out.count("\n") == 1 and out.endswith("\n")


@pytest.mark.parametrize("subscriber", MAP_SUBSCRIBERS, ids=lambda subscriber: subscriber.profile)
def test_calc_of_each_isp(routerd: Routerd, subscriber: Subscriber) -> None:
    for options in ([], ["--profile", subscriber.profile]):
        found = json.loads(routerd.cli("calc", subscriber.prefix, "--json", *options).stdout)
        assert found["profile"] == subscriber.profile
        assert found["ipv4"] == subscriber.ipv4
        assert found["psid"] == subscriber.psid
        assert found["ceAddress"] == subscriber.ce_address
        assert found["borderRelay"] == subscriber.relay
        assert found["portCount"] == subscriber.port_count
        ports = {port for first, last in found["portRanges"] for port in range(first, last + 1)}
        assert ports == subscriber.ports


def test_calc_for_people_names_everything(routerd: Routerd) -> None:
    out = routerd.cli("calc", "2404:7a82:4d02:4100::/56").stdout
    for word in ("biglobe", "133.209.13.2", GOLDEN["ceAddress"], GOLDEN["borderRelay"], "5136", "62495", "240"):
        assert str(word).lower() in out.lower()


@pytest.mark.parametrize("prefix", ["2001:db8:1:100::/56", "2400:4052:f000::/56", "2404:7a88::/56"])
def test_no_matching_rule(routerd: Routerd, prefix: str) -> None:
    done = routerd.cli("calc", prefix, "--json", check=False)
    assert done.returncode == 3
    error = json.loads(done.stdout)["error"]
    assert error["code"] == "no-matching-rule"
    assert error["message"]


def test_another_isps_prefix(routerd: Routerd) -> None:
    done = routerd.cli("calc", "2404:7a82:4d02:4100::/56", "--profile", "nuro", "--json", check=False)
    assert done.returncode == 3
    assert json.loads(done.stdout)["error"]["code"] == "no-matching-rule"


def test_native_ipv4_line_is_named(routerd: Routerd) -> None:
    done = routerd.cli("calc", "240d:1a:123:4500::/56", check=False)
    assert done.returncode == 3
    assert "nuro" in (done.stdout + done.stderr).lower()
    assert "native" in (done.stdout + done.stderr).lower()


@pytest.mark.parametrize("prefix", GARBAGE, ids=lambda text: repr(text[:32]))
def test_garbage_is_an_error_in_words(routerd: Routerd, prefix: str) -> None:
    done = routerd.cli("calc", prefix, "--json", check=False)
    assert done.returncode == 2, f"exit {done.returncode}: {done.stdout}{done.stderr}"
    error = json.loads(done.stdout)["error"]
    assert error["code"] and error["message"]


@pytest.mark.parametrize("prefix", ["2404:7a82:4d02::/48", "2404:7a82::/32"])
def test_too_short_a_prefix_is_refused(routerd: Routerd, prefix: str) -> None:
    done = routerd.cli("calc", prefix, "--json", check=False)
    assert done.returncode in (2, 3)
    assert "too short" in json.loads(done.stdout)["error"]["message"]


def test_a_full_address_will_do(routerd: Routerd) -> None:
    out = routerd.cli("calc", "2404:7a82:4d02:4100:85:d10d:200:4100/128", "--json").stdout
    assert json.loads(out) == GOLDEN


def test_usage_errors(routerd: Routerd) -> None:
    for argv in (["nonsense"], ["calc"], ["profile", "set"], ["calc", "::/56", "--nonsense"]):
        done = routerd.cli(*argv, check=False)
        assert done.returncode == 64, f"{argv}: exit {done.returncode}"
        assert "usage" in done.stderr.lower()


def test_status_without_a_daemon(routerd: Routerd) -> None:
    done = routerd.cli("status", check=False)
    assert done.returncode == 1
    assert "daemon" in done.stderr and str(routerd.directory / "control") in done.stderr


def test_profile_list_and_show(routerd: Routerd) -> None:
    out = routerd.cli("profile", "list").stdout
    for name in ("biglobe", "ocn", "nuro", "v6plus", "dslite"):
        assert name in out
    assert "auto" in routerd.cli("profile", "show", check=False).stdout  # fails, for there is no line here


def test_check_config_accepts_the_shipped_sample(routerd: Routerd) -> None:
    assert routerd.cli("check-config").returncode == 0


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("profile = \n", "line 1"),
        ('profile = "nonesuch"\n[wan]\ninterface = "wan0"\n', "nonesuch"),
        ('[wan]\ninterfaec = "wan0"\n', "interfaec"),
        ("[wan]\ninterface = 7\n", "interface"),
        ('[wan]\ninterface = "wan0"\nprefix = "192.0.2.0/24"\n', "prefix"),
        ('[wan]\ninterface = "a/../b"\n', "interface"),
        ('[wan]\ninterface = "wan0"\n[softwire]\nmtu = 70000\n', "mtu"),
        ('[wan]\ninterface = "wan0"\n[softwire]\nmtu = -1\n', "mtu"),
        ('[wan]\ninterface = "wan0"\n[softwire]\ndevice = "a-name-that-is-too-long"\n', "device"),
        ('[wan]\ninterface = "wan0"\n[softwire]\ndataplane = "pigeon"\n', "pigeon"),
        ("[nonsense]\nx = 1\n", "nonsense"),
        ('profile = "auto"\nprofile = "auto"\n', "profile"),
    ],
    ids=lambda value: value if isinstance(value, str) and "\n" not in value else None,
)
def test_configuration_errors_name_the_place(tmp_path: Path, text: str, names: str) -> None:
    with Namespace("ce") as ce, Routerd(ce) as routerd:
        routerd.config_file.write_text(text)
        for verb in ("check-config", "run"):
            done = ce.run("timeout", f"{patient(10):g}", *routerd.command[:1], verb, *routerd.command[2:], check=False)
            assert done.returncode == 78, f"{verb}: exit {done.returncode}: {done.stderr}"
            assert names in done.stderr, done.stderr
            assert "routerd.toml" in done.stderr or re.search(r"\[\w+\] \w+|profile", done.stderr), done.stderr


def test_a_fragment_overrides_the_file(routerd: Routerd) -> None:
    routerd.fragments.mkdir(exist_ok=True)
    fragment = routerd.fragments / "90-test.toml"
    fragment.write_text('profile = "nuro"\n')
    try:
        assert "nuro" in routerd.cli("profile", "show", check=False).stdout
        fragment.write_text("profile = 3\n")
        done = routerd.cli("check-config", check=False)
        assert done.returncode == 78
        assert "90-test.toml" in done.stderr
    finally:
        fragment.unlink()


def test_a_broken_configuration_is_an_error_in_json_too(routerd: Routerd) -> None:
    done = routerd.ce.run(
        *routerd.command[:1], "calc", "2404:7a82:4d02:4100::/56", "--json", "--config", "/nonexistent/x.toml", check=False
    )
    assert done.returncode == 78
    assert "/nonexistent/x.toml" in json.loads(done.stdout)["error"]["message"]


def test_profile_set_tells_of_a_file_that_counts_more(routerd: Routerd) -> None:
    routerd.fragments.mkdir(exist_ok=True)
    later = routerd.fragments / "90-test.toml"
    later.write_text('profile = "biglobe"\n')
    try:
        done = routerd.cli("profile", "set", "nuro", check=False)
        assert done.returncode == 1
        assert "biglobe" in done.stderr
    finally:
        later.unlink()
        (routerd.fragments / "50-profile.toml").unlink(missing_ok=True)


def test_a_missing_configuration_file(routerd: Routerd) -> None:
    done = routerd.ce.run(*routerd.command[:1], "check-config", "--config", "/nonexistent/x.toml", check=False)
    assert done.returncode == 78
    assert "/nonexistent/x.toml" in done.stderr

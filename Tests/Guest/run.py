#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Boots the Debian guest and runs something in it.

    run.py test                             the boots of `make test-guest`
    run.py test lines trixie                some of them
    run.py pytest -- suites/test_ports.py -k churn
    run.py pytest --suite trixie --dataplane ip6tnl -- -k 'test_ping and biglobe-plain'
    run.py shell 'uname -a; nft list ruleset'
    run.py image                            builds the images, or finds them built

The exit status is that of the command in the guest, and 125 if the guest failed. Logs, console, journal and results of
each boot are in build/guest/logs.
"""

import argparse
import os
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path

from guest.boots import Boot, boots
from guest.image import CACHE, REPOSITORY, Image, image, squash
from guest.machine import GuestError, boot
from guest.payload import stage

_FAILED = 125


def main() -> int:
    options = _options()
    if options.verb == "image":
        for suite in options.suites:
            _built(suite)
        return 0
    if options.verb == "test":
        return _test(options)
    name = options.name or f"{options.suite}-{options.dataplane}"
    wanted = Boot(name, options.suite, options.dataplane, tuple(getattr(options, "arguments", ())), options.limit)
    return _run(wanted, options, getattr(options, "command", None))


def _test(options: argparse.Namespace) -> int:
    known = {each.name: each for each in boots(options.build)}
    if unknown := set(options.boots) - set(known):
        print(f"there is no boot named {', '.join(sorted(unknown))}; there are: {', '.join(known)}", file=sys.stderr)
        return 2
    results = {name: _run(known[name], options) for name in options.boots or known}
    failed = [name for name, status in results.items() if status != 0]
    names = "".join(f", {name} failed" for name in failed)
    print(f"guest: {len(results) - len(failed)} of {len(results)} boots passed{names}")
    return 1 if failed else 0


def _run(wanted: Boot, options: argparse.Namespace, command: str | None = None) -> int:
    booted = _built(wanted.suite)
    print(f"guest {wanted.name}: {wanted.suite}, dataplane {wanted.dataplane}", flush=True)
    environment = {
        "ROUTERD_DATAPLANE": wanted.dataplane,
        "LAB_SLOWNESS": str(options.slowness),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
    }
    folder = CACHE / "logs" / wanted.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    begun, worked = time.monotonic(), _processor_seconds()
    with tempfile.TemporaryDirectory(prefix="routerd-payload-") as scratch:
        tree, packed = Path(scratch) / "tree", Path(scratch) / "payload"
        tree.mkdir()
        stage(tree, options.build, ["sh", "-c", command] if command else _pytest(wanted.pytest), environment)
        squash(tree, packed)
        try:
            status = boot(booted, packed, folder, wanted.limit, options.memory)
        except GuestError as error:
            print(f"guest {wanted.name}: {error}", file=sys.stderr)
            status = _FAILED
    seconds, work = time.monotonic() - begun, _processor_seconds() - worked
    took = f"{seconds:.0f} s, {work:.0f} s of processor time"
    print(f"guest {wanted.name}: exit {status} after {took}; the rest in {folder}", flush=True)
    return status


def _processor_seconds() -> float:
    """What ended child processes have used: it tells a slow test from a busy machine."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _built(suite: str) -> Image:
    begun = time.monotonic()
    found = image(suite)
    if (seconds := time.monotonic() - begun) > 1:
        print(f"guest: the image of {suite} was built in {seconds:.1f} s", flush=True)
    return found


def _pytest(arguments: tuple[str, ...]) -> list[str]:
    """Every test by name, so that the log of a boot that was ended tells how far it got, and where a test hangs."""
    inner = "cd Tests/Lab && exec python3 -m pytest -p no:cacheprovider --junitxml=/run/results/junit.xml -v"
    return ["sh", "-c", f'{inner} -o faulthandler_timeout=300 "$@"', "pytest", *arguments]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    common = argparse.ArgumentParser(add_help=False)
    build = Path(os.environ.get("ROUTERD") or REPOSITORY / ".build" / "debug" / "routerd").parent
    common.add_argument("--build", type=Path, default=build, help="folder of the programs; default that of $ROUTERD")
    common.add_argument("--slowness", type=float, default=6, help="factor on the lab's time limits")
    common.add_argument("--memory", type=int, default=1536, help="MiB")
    one = argparse.ArgumentParser(add_help=False)
    one.add_argument("--suite", default="bookworm", help="Debian release of the guest")
    one.add_argument("--dataplane", default="tun", choices=("tun", "ip6tnl"))
    one.add_argument("--limit", type=float, default=900, help="seconds after which the boot has failed")
    one.add_argument("--name", help="folder of the logs")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("test", parents=[common]).add_argument("boots", nargs="*")
    verbs.add_parser("pytest", parents=[common, one]).add_argument("arguments", nargs="*", help="of pytest, after --")
    verbs.add_parser("shell", parents=[common, one]).add_argument("command")
    verbs.add_parser("image").add_argument("suites", nargs="*", default=["bookworm", "trixie"])
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

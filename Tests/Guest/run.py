#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Boots the Debian guest and runs something in it.

    run.py test                             the boots of `make test-guest`
    run.py test --all                       every suite that can run there: `make test-guest-all`
    run.py test lines trixie                some boots
    run.py bench -- --rounds 5              Tests/Lab/bench.py: `make bench-guest`
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
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from guest.boots import Boot, bench, complete, pytest, usual
from guest.image import CACHE, REPOSITORY, Image, image, squash
from guest.machine import GuestError, boot
from guest.payload import stage

_FAILED = 125


def main() -> int:
    options = _options()
    if options.verb == "image":
        _build_all(options.suites)
        return 0
    if options.verb == "test":
        return _test(options)
    if options.verb == "shell":
        command: tuple[str, ...] = ("sh", "-c", options.command)
    else:
        command = (bench if options.verb == "bench" else pytest)(*options.arguments)
    name = options.name or (options.verb if options.verb == "bench" else f"{options.suite}-{options.dataplane}")
    return _run(Boot(name, options.suite, command, options.dataplane, options.limit, counted=options.counted), options)


def _test(options: argparse.Namespace) -> int:
    known = {each.name: each for each in (complete if options.all else usual)(options.bundle)}
    if unknown := set(options.boots) - set(known):
        print(f"there is no boot named {', '.join(sorted(unknown))}; there are: {', '.join(known)}", file=sys.stderr)
        return 2
    begun = time.monotonic()
    names = options.boots or list(known)
    _build_all({known[name].suite for name in names})
    results = {name: _run(known[name], options) for name in names}
    failed = [name for name, status in results.items() if status != 0]
    complaint = "".join(f", {name} failed" for name in failed)
    took = f"{time.monotonic() - begun:.0f} s"
    print(f"guest: {len(results) - len(failed)} of {len(results)} boots passed in {took}{complaint}")
    return 1 if failed else 0


def _run(wanted: Boot, options: argparse.Namespace) -> int:
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
        stage(tree, options.build, wanted.bundle, list(wanted.command), environment)
        squash(tree, packed)
        try:
            status = boot(booted, packed, folder, wanted.limit, options.memory, wanted.counted)
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


def _build_all(suites: Iterable[str]) -> None:
    """Several at a time: most of the work is done by one process each."""
    with ThreadPoolExecutor() as pool:
        list(pool.map(_built, suites))


def _built(suite: str) -> Image:
    begun = time.monotonic()
    found = image(suite)
    if (seconds := time.monotonic() - begun) > 1:
        print(f"guest: the image of {suite} was built in {seconds:.1f} s", flush=True)
    return found


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    common = argparse.ArgumentParser(add_help=False)
    build = Path(os.environ.get("ROUTERD") or REPOSITORY / ".build" / "debug" / "routerd").parent
    bundle = build / "routerdPackageTests.xctest"
    common.add_argument("--build", type=Path, default=build, help="folder of the programs; default that of $ROUTERD")
    common.add_argument("--slowness", type=float, default=6, help="factor on the lab's time limits")
    common.add_argument("--memory", type=int, default=1536, help="MiB")
    one = argparse.ArgumentParser(add_help=False)
    one.add_argument("--suite", default="bookworm", help="Debian release of the guest")
    one.add_argument("--dataplane", default="tun", choices=("tun", "ip6tnl"))
    one.add_argument("--limit", type=float, default=900, help="seconds after which the boot has failed")
    one.add_argument("--name", help="folder of the logs")
    one.add_argument("--counted", action="store_true", help="one processor whose clock counts instructions")
    verbs = parser.add_subparsers(dest="verb", required=True)
    test = verbs.add_parser("test", parents=[common])
    test.add_argument("--all", action="store_true", help="the complete set")
    test.add_argument("--bundle", type=Path, default=bundle, help="the Swift tests; default beside the programs")
    test.add_argument("boots", nargs="*")
    measure = verbs.add_parser("bench", parents=[common, one])
    measure.add_argument("arguments", nargs="*", help="of bench.py, after --")
    measure.set_defaults(dataplane="ip6tnl")
    verbs.add_parser("pytest", parents=[common, one]).add_argument("arguments", nargs="*", help="of pytest, after --")
    verbs.add_parser("shell", parents=[common, one]).add_argument("command")
    verbs.add_parser("image").add_argument("suites", nargs="*", default=["bookworm", "trixie"])
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

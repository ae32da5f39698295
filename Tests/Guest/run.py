#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Boots the Debian guest and runs something in it: by default the lab's suites, on the guest's kernel.

    run.py                                        the suites of the lab with the TUN dataplane, on Debian 12
    run.py --dataplane ip6tnl -- suites/test_ports.py -k churn
    run.py --suite trixie -- -k 'test_ping and biglobe-plain'
    run.py --command 'uname -a; nft list ruleset'
    run.py --image-only                           builds the image, or finds it built

What follows `--` goes to pytest. The exit status is that of the command in the guest; 125 if the guest failed.
"""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from guest.image import CACHE, REPOSITORY, image, squash
from guest.machine import GuestError, boot
from guest.payload import stage


def main() -> int:
    options = _options()
    begun = time.monotonic()
    booted = image(options.suite)
    print(f"image of {options.suite}: {time.monotonic() - begun:.1f} s", flush=True)
    if options.image_only:
        return 0
    command = ["sh", "-c", options.command] if options.command else _pytest(options.pytest)
    environment = {
        "ROUTERD_DATAPLANE": options.dataplane,
        "LAB_SLOWNESS": str(options.slowness),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    folder = CACHE / "logs" / (options.name or f"{options.suite}-{options.dataplane}")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="routerd-payload-") as scratch:
        tree, packed = Path(scratch) / "tree", Path(scratch) / "payload"
        tree.mkdir()
        stage(tree, options.build, command, environment)
        squash(tree, packed)
        try:
            status = boot(booted, packed, folder, options.limit, options.memory)
        except GuestError as error:
            print(f"guest: {error}", file=sys.stderr)
            status = 125
    print(f"guest {folder.name}: exit {status} after {time.monotonic() - begun:.1f} s; console and results in {folder}")
    return status


def _pytest(arguments: list[str]) -> list[str]:
    """Every test by name, so that the log of a boot that was ended tells how far it got, and where a test hangs."""
    inner = "cd Tests/Lab && exec python3 -m pytest -p no:cacheprovider --junitxml=/run/results/junit.xml -v"
    return ["sh", "-c", f'{inner} -o faulthandler_timeout=180 "$@"', "pytest", *arguments]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", default="bookworm", help="Debian release of the guest")
    parser.add_argument("--dataplane", default="tun", choices=("tun", "ip6tnl"))
    parser.add_argument("--build", type=Path, default=REPOSITORY / ".build" / "debug", help="folder of the built programs")
    parser.add_argument("--limit", type=float, default=600, help="seconds after which a boot has failed")
    parser.add_argument("--slowness", type=float, default=4, help="factor on the lab's time limits")
    parser.add_argument("--memory", type=int, default=1536, help="MiB")
    parser.add_argument("--name", help="folder of the logs below build/guest/logs")
    parser.add_argument("--command", help="a shell command instead of pytest")
    parser.add_argument("--image-only", action="store_true")
    parser.add_argument("pytest", nargs="*", help="arguments of pytest, after --")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: GPL-3.0-or-later
"""What one boot brings along: a tree laid out like the repository, with only what running needs.

Compiled on the host, run in the guest. The Swift runtime comes from the toolchain that the programs were linked with:
they look for it under the toolchain's path, and the guest makes that path lead to the copy.
"""

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from .image import REPOSITORY

_SYSTEM = ("/lib/", "/lib64/", "/usr/lib/", "/usr/lib64/")
_RESOLVED = re.compile(r"=> (/\S+) \(")


def stage(
    tree: Path, build: Path, bundle: Path | None, command: list[str], environment: Mapping[str, str]
) -> None:
    """Fills `tree` with the programs of `build`, the Swift tests if there is a `bundle`, the lab, and the command that
    the guest is to run."""
    programs = [build / "routerd", *sorted(build.glob("lib*.so"))]
    _copy(programs, tree / ".build" / "debug")
    tests = [bundle, *sorted(bundle.parent.glob("lib*.so"))] if bundle else []
    _copy(tests, tree / ".build" / "tests")
    _runtime([*programs, *tests], tree / "runtime")
    _copy([REPOSITORY / "build" / "lab" / name for name in ("labbr", "labplant")], tree / "build" / "lab")
    example = REPOSITORY / "build" / "example-plugin"
    if example.is_dir():
        _copy(sorted(example.iterdir()), tree / "build" / "example-plugin")
    for name in ("Package.swift", "Plugins", "Tests/Lab", "Tests/Guest/inside", "packaging", "etc"):
        _copy_tree(REPOSITORY / name, tree / name)
    variables = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in environment.items())
    (tree / "command").write_text(f"{variables}{shlex.join(command)}\n")


def _copy(files: list[Path], folder: Path) -> None:
    folder.mkdir(parents=True)
    for file in files:
        if not file.is_file():
            raise FileNotFoundError(f"{file} is missing: build it first")
        shutil.copy(file, folder)


def _copy_tree(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns(".build", "__pycache__", ".pytest_cache"))
    else:
        shutil.copy(source, target)


def _runtime(programs: list[Path], folder: Path) -> None:
    """The shared libraries that no package of Debian brings, and a note of where they are looked for."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LD_")}
    command = ["ldd", *map(str, programs)]
    out = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
    if missing := re.findall(r"\S+ => not found", out):
        raise RuntimeError(f"the programs miss libraries on this machine: {missing}")
    beside = {program.resolve().parent for program in programs}
    found = {Path(path) for path in _RESOLVED.findall(out) if not path.startswith(_SYSTEM)}
    libraries = sorted(path for path in found if path.resolve().parent not in beside)
    homes = {path.parent for path in libraries}
    _copy(libraries, folder)
    (folder / "homes").write_text("".join(f"{home}\n" for home in sorted(homes)))

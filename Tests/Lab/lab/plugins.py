# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of the folder of plugins, to be damaged by tests."""

import os
import shutil
import struct
from pathlib import Path

from . import paths

_GATE = struct.pack("<II", 0x52545244, 1)
"""How a plugin's descriptor begins: the magic number and the major version of the API."""


def is_plugin(file: Path) -> bool:
    return _GATE in file.read_bytes()


def plugin_files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.glob("*.so") if is_plugin(file))


def copy_plugins(target: Path) -> None:
    """Copies the plugins that lie beside the program, and their rule tables, as a package installs them."""
    target.mkdir()
    files = plugin_files(paths.routerd().resolve().parent)
    assert files, f"no plugin lies beside {paths.routerd()}"
    for file in files:
        shutil.copy(file, target)
    for table in _source_tree().glob("Plugins/Profiles/*/*.rules"):
        shutil.copy(table, target)


def copy_example(target: Path) -> None:
    """Copies the example plugin, which was built from its own package."""
    tree = _source_tree() / "Plugins" / "Example"
    named = os.environ.get("EXAMPLE_PLUGIN")
    built = [Path(named)] if named else plugin_files(tree / ".build" / "debug")
    assert built, "the example plugin is not built: swift build --package-path Plugins/Example"
    for file in [*built, *tree.glob("Sources/**/*.rules"), *tree.glob("*.rules")]:
        shutil.copy(file, target)


def raise_api_version(file: Path) -> None:
    """Makes a plugin claim a newer major version, and changes nothing else in it."""
    content = file.read_bytes()
    assert content.count(_GATE) == 1
    file.unlink()  # the copy may share its blocks with a library that is in use
    file.write_bytes(content.replace(_GATE, struct.pack("<II", 0x52545244, 2)))


def _source_tree() -> Path:
    """The tree that the program under test was built from."""
    for folder in paths.routerd().resolve().parents:
        if (folder / "Plugins" / "Profiles").is_dir():
            return folder
    return paths.REPOSITORY

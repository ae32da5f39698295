# SPDX-License-Identifier: GPL-3.0-or-later
"""Plugins are really loaded: what lies in the folder is what there is, and what is unfit is skipped with the reason.

    ce        a namespace of its own, with nothing but the loopback device

Each test works on a copy of the folder of plugins. The example plugin comes from its own package, which `make example`
builds ($EXAMPLE_PLUGIN names another folder to take it from); the daemon is not rebuilt for it.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import plugins
from lab.daemon import Routerd
from lab.isps import BIGLOBE, NURO
from lab.netns import Namespace
from lab.waiting import patient

PROFILES = {"biglobe", "ocn", "nuro", "v6plus", "dslite", "fixedip", "announced"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of all plugins with their rule tables."""
    folder = tmp_path / "plugins"
    plugins.copy_plugins(folder)
    return folder


@pytest.fixture
def routerd(folder: Path) -> Iterator[Routerd]:
    with Namespace("ce") as ce, Routerd(ce, {"plugins": {"path": [str(folder)]}}) as routerd:
        yield routerd


def profiles(routerd: Routerd) -> set[str]:
    """The names that `routerd profile list` prints."""
    out = routerd.cli("profile", "list").stdout
    return {name for name in [*PROFILES, "example"] if re.search(rf"\b{name}\b", out)}


def lines_about(routerd: Routerd, word: str) -> list[str]:
    out = routerd.cli("plugins").stdout
    return [line for line in out.splitlines() if word in line]


def build_c_plugin(folder: Path, name: str, source: str) -> Path:
    """A shared object written in C, as a stand-in for something that is no good plugin."""
    file = folder / name
    subprocess.run(["cc", "-shared", "-fPIC", "-x", "c", "-o", str(file), "-"], input=source.encode(), check=True)
    return file


def test_every_plugin_is_listed_with_its_file(routerd: Routerd, folder: Path) -> None:
    out = routerd.cli("plugins").stdout
    for file in plugins.plugin_files(folder):
        assert file.name in out
    for name in PROFILES:
        assert lines_about(routerd, f"isp.{name}"), f"isp.{name} is not listed:\n{out}"
    assert profiles(routerd) == PROFILES


def test_removing_nuro_removes_exactly_nuro(routerd: Routerd, folder: Path) -> None:
    routerd.cli("calc", NURO.prefix)
    (folder / "libNURO.so").unlink()
    assert profiles(routerd) == PROFILES - {"nuro"}
    assert routerd.cli("calc", NURO.prefix, check=False).returncode == 3
    assert routerd.cli("calc", BIGLOBE.prefix).returncode == 0


def test_the_example_appears_without_rebuilding(routerd: Routerd, folder: Path) -> None:
    assert profiles(routerd) == PROFILES
    plugins.copy_example(folder)
    assert profiles(routerd) == PROFILES | {"example"}


def test_a_file_that_is_no_plugin_is_skipped(routerd: Routerd, folder: Path) -> None:
    (folder / "libText.so").write_text("this is not a shared object\n")
    build_c_plugin(folder, "libEmpty.so", "int nothing_of_interest;")
    for name in ("libText.so", "libEmpty.so"):
        [line] = lines_about(routerd, name)
        assert "skipped" in line
    assert profiles(routerd) == PROFILES


def test_a_wrong_api_version_is_skipped_before_any_call(routerd: Routerd, folder: Path) -> None:
    """The plugin is the real one of NURO with one number changed; its code would crash or clash if it were called."""
    plugins.raise_api_version(folder / "libNURO.so")
    [line] = lines_about(routerd, "libNURO.so")
    assert "skipped" in line and "API" in line
    assert profiles(routerd) == PROFILES - {"nuro"}


def test_the_same_plugin_twice_is_an_error_naming_both(routerd: Routerd, folder: Path) -> None:
    shutil.copy(folder / "libNURO.so", folder / "libNURO2.so")
    shutil.copy(folder / "NURO.rules", folder / "NURO2.rules")
    [line] = lines_about(routerd, "libNURO2.so")
    assert "skipped" in line and f"{folder}/libNURO.so" in line
    refused = routerd.cli("check-config", check=False)
    assert refused.returncode == 78
    assert f"{folder}/libNURO.so" in refused.stderr and f"{folder}/libNURO2.so" in refused.stderr


def test_a_selected_plugin_that_is_missing_is_fatal(folder: Path) -> None:
    (folder / "libNURO.so").unlink()
    config = {"profile": "nuro", "wan": {"interface": "lo"}, "plugins": {"path": [str(folder)]}}
    with Namespace("ce") as ce, Routerd(ce, config) as routerd:
        done = ce.run("timeout", f"{patient(10):g}", *routerd.command, check=False)
        assert done.returncode == 78, done.stderr
        assert "nuro" in done.stderr


def test_the_order_of_files_does_not_matter(routerd: Routerd, folder: Path) -> None:
    os.rename(folder / "libBIGLOBE.so", folder / "libZZZ.so")
    os.rename(folder / "BIGLOBE.rules", folder / "ZZZ.rules")
    assert profiles(routerd) == PROFILES
    assert routerd.cli("calc", BIGLOBE.prefix).returncode == 0

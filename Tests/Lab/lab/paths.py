# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the programs under test are. Each can be replaced by an environment variable."""

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]


def _program(variable: str, default: str) -> Path:
    path = Path(os.environ.get(variable) or REPOSITORY / default)
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: build it first, or name another one in ${variable}")
    return path


def routerd() -> Path:
    """The daemon and command line under test."""
    return _program("ROUTERD", ".build/debug/routerd")


def labbr() -> Path:
    """The border relay that judges."""
    return _program("LABBR", "build/lab/labbr")

# SPDX-License-Identifier: GPL-3.0-or-later
"""Where Debian's packages come from: derived from the host's own apt configuration, whatever mirror that names."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

_FIELDS = ("REPO_URI", "RELEASE", "CODENAME", "COMPONENT", "ORIGIN", "LABEL")
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_TRANSPORT = ("Acquire::http", "Acquire::https", "Acquire::ftp", "Acquire::Check-", "Acquire::Retries")
"""Of the host's apt options those that say how to reach a mirror (a proxy, say) and how old an index may be."""


class NoSource(Exception):
    """The host's apt configuration does not lead to Debian's archive."""


@dataclass(frozen=True)
class _Target:
    """One index that the host's apt knows."""

    uri: str
    release: str
    codename: str
    component: str
    origin: str
    label: str


def lines(suite: str) -> list[str]:
    """The sources.list of a suite: the host's own entries for it, else its mirror with the suite's name."""
    known = [target for target in _targets() if target.origin == "Debian" and target.component == "main"]
    own = [target for target in known if target.codename in (suite, f"{suite}-updates", f"{suite}-security")]
    if not own:
        mirrors = [target for target in known if target.label == "Debian" and "-" not in target.codename]
        if not mirrors:
            raise NoSource("apt knows no Debian archive (apt-get indextargets): run apt-get update")
        own = [_Target(mirrors[0].uri, suite, suite, "main", "Debian", "Debian")]
    option = f" [signed-by={_KEYRING}]" if _KEYRING.exists() else ""
    return list(dict.fromkeys(f"deb{option} {each.uri} {each.release} main" for each in own))


def options() -> list[str]:
    """The host's options that concern the way to the mirror, as lines of an apt.conf."""
    dump = subprocess.run(["apt-config", "dump", "Acquire"], capture_output=True, text=True, check=True).stdout
    return [line for line in dump.splitlines() if line.startswith(_TRANSPORT) and not line.endswith(' "";')]


def _targets() -> list[_Target]:
    form = "|".join(f"$({name})" for name in _FIELDS)
    command = ["apt-get", "indextargets", "--format", form, "Created-By: Packages"]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [_Target(*line.split("|")) for line in out.splitlines() if line.count("|") == len(_FIELDS) - 1]

# SPDX-License-Identifier: GPL-3.0-or-later
"""The guest's root file system, kernel and initramfs, built once and kept below build/guest.

Everything is put together in memory, which takes half the time of a disk. The file system is not compressed: an
emulated processor takes longer to decompress than the host to read. An image is known by the hash of all it is made
from; one whose inputs changed is built anew and the old one removed.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from . import sources

HERE = Path(__file__).resolve().parent.parent
REPOSITORY = HERE.parents[1]
CACHE = REPOSITORY / "build" / "guest"
_PARTS = HERE / "image"
_BOOT_MODULES = ("virtio_pci", "virtio_blk", "virtio_rng", "virtio_console", "overlay", "squashfs")
_LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/lintian/*")


@dataclass(frozen=True)
class Image:
    """What QEMU boots."""

    root: Path
    kernel: Path
    initramfs: Path


def image(suite: str) -> Image:
    """The image of a Debian suite, from the cache or, if its inputs changed, built now."""
    with _locked(suite):
        folder = CACHE / f"{suite}-{_inputs(suite)}"
        if not folder.exists():
            for old in CACHE.glob(f"{suite}-*"):
                shutil.rmtree(old)
            _build(suite, folder)
    return Image(folder / "root", folder / "vmlinuz", folder / "initramfs")


@contextmanager
def _locked(suite: str) -> Iterator[None]:
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f".lock-{suite}").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _inputs(suite: str) -> str:
    digest = hashlib.sha256(suite.encode())
    for file in [*sorted(_PARTS.iterdir()), Path(__file__), HERE / "guest" / "sources.py"]:
        digest.update(f"\0{file.name}\0".encode() + file.read_bytes())
    return digest.hexdigest()[:12]


def _packages() -> list[str]:
    lines = (line.partition("#")[0].strip() for line in (_PARTS / "packages").read_text().splitlines())
    return [line for line in lines if line]


def _build(suite: str, folder: Path) -> None:
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="routerd-guest-", dir=shared if shared.is_dir() else None) as scratch:
        work = Path(scratch)
        root, kernel, ready = work / "root", work / "kernel", work / "ready"
        kernel.mkdir()
        ready.mkdir()
        _bootstrap(suite, root, kernel, work)
        _initramfs(root, (kernel / "version").read_text().strip(), work / "initramfs", ready / "initramfs")
        shutil.move(kernel / "vmlinuz", ready / "vmlinuz")
        squash(root, ready / "root")
        arriving = folder.with_name(f".{folder.name}")
        shutil.rmtree(arriving, ignore_errors=True)
        shutil.copytree(ready, arriving)
        arriving.rename(folder)


def _bootstrap(suite: str, root: Path, kernel: Path, work: Path) -> None:
    options = work / "apt.conf"
    options.write_text("\n".join([*sources.options(), 'Acquire::Languages "none";', ""]))
    command = ["mmdebstrap", "--mode=root", "--variant=minbase", f"--include={','.join(_packages())}"]
    command += [f"--aptopt={options}", "--dpkgopt=force-unsafe-io", "--skip=cleanup/reproducible"]
    command += [f"--dpkgopt=path-exclude={pattern}" for pattern in _LEFT_OUT]
    command += [f'--customize-hook="{_PARTS}/customize" "$1" "{kernel}" "{_PARTS}"', suite, str(root), "-"]
    _run(command, "\n".join([*sources.lines(suite), ""]))


def _initramfs(root: Path, version: str, tree: Path, target: Path) -> None:
    """Busybox, the modules that the root file system needs, in the order of loading, and our init."""
    for folder in ("bin", "modules"):
        (tree / folder).mkdir(parents=True)
    shutil.copy(shutil.which("busybox") or "/bin/busybox", tree / "bin" / "busybox")
    shutil.copy(_PARTS / "init", tree / "init")
    order: list[str] = []
    for module in _BOOT_MODULES:
        shown = _run(["modprobe", f"--dirname={root}", f"--set-version={version}", "--show-depends", module])
        for file in (Path(line.split()[1]) for line in shown.splitlines() if line.startswith("insmod ")):
            if file.name not in order:
                shutil.copy(file, tree / "modules" / file.name)
                order.append(file.name)
    (tree / "modules" / "order").write_text("".join(f"{name}\n" for name in order))
    files = "\n".join(str(path.relative_to(tree)) for path in sorted(tree.rglob("*")))
    pack = ["cpio", "--quiet", "-o", "-H", "newc"]
    with target.open("wb") as archive:
        subprocess.run(pack, cwd=tree, input=files.encode(), stdout=archive, check=True)


def squash(tree: Path, target: Path) -> None:
    """An uncompressed squashfs of a folder."""
    _run(["mksquashfs", str(tree), str(target), "-noI", "-noD", "-noF", "-noX", "-no-progress", "-quiet"])


def _run(command: list[str], stdin: str | None = None) -> str:
    environment = {**os.environ, "LC_ALL": "C"}
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, env=environment)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]}: exit {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return done.stdout

# SPDX-License-Identifier: GPL-3.0-or-later
"""One boot: QEMU without hardware help (a /dev/kvm that is there may still not work), and what came out of it.

For measurements the guest's clock can be made to count instructions of its one processor instead of the time that goes
by: what else the host does, and how fast it is, then changes nothing.

The guest has no network card. It reads its system and the payload from two read-only disks and writes to three
serial ports, each a file on the host: the log, which is shown while it grows, the exit status, and a tar of results.
"""

import subprocess
import sys
import time
from pathlib import Path

from .image import Image

# Programs at the same addresses each time: the emulator finds what it has translated, and they start 2.5 times faster.
_ARGUMENTS = "quiet mitigations=off nokaslr norandmaps panic=-1 console=ttyS0 systemd.unit=guest.target"


class GuestError(Exception):
    """The guest did not get to the end of its command."""


_PROCESSORS = ("-accel", "tcg,thread=multi,tb-size=512", "-smp", "2")
# An instruction takes two nanoseconds, and waiting no time at all.
_COUNTED_PROCESSOR = ("-accel", "tcg,thread=single,tb-size=512", "-smp", "1", "-icount", "shift=1,sleep=off")


def boot(image: Image, payload: Path, folder: Path, limit: float, memory: int, counted: bool = False) -> int:
    """Runs the payload's command and returns its exit status; log, console and results are left in `folder`."""
    for name in ("log", "status", "results", "console"):
        (folder / name).write_bytes(b"")
    command = _command(image, payload, folder, memory) + list(_COUNTED_PROCESSOR if counted else _PROCESSORS)
    with (folder / "qemu").open("wb") as complaints:
        machine = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=complaints)
    try:
        _watch(machine, folder / "log", time.monotonic() + limit)
    except TimeoutError:
        raise GuestError(f"the guest did not end within {limit:g} s; see {folder}") from None
    finally:
        machine.kill()
        machine.wait()
    _unpack(folder)
    status = (folder / "status").read_text().strip()
    if not status:
        console = (folder / "console").read_text(errors="replace")[-2000:]
        raise GuestError(f"the guest ended without a result; see {folder}\n{(folder / 'qemu').read_text()}{console}")
    return int(status)


def _command(image: Image, payload: Path, folder: Path, memory: int) -> list[str]:
    command = ["setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-no-reboot"]
    command += ["-display", "none", "-machine", "q35", "-cpu", "qemu64", "-m", str(memory)]
    command += ["-kernel", str(image.kernel), "-initrd", str(image.initramfs)]
    command += ["-append", _ARGUMENTS, "-serial", f"file:{folder / 'console'}", "-device", "virtio-rng-pci"]
    for name, file in (("root", image.root), ("payload", payload)):
        command += ["-drive", f"if=none,id={name},file={file},format=raw,readonly=on"]
        command += ["-device", f"virtio-blk-pci,drive={name},serial={name}"]
    command += ["-device", "virtio-serial-pci"]
    for name in ("log", "status", "results"):
        command += ["-chardev", f"file,id={name},path={folder / name}"]
        command += ["-device", f"virtserialport,chardev={name},name={name}"]
    return command


def _watch(machine: subprocess.Popen[bytes], log: Path, deadline: float) -> None:
    """Shows the log as it grows until the machine is off."""
    with log.open("rb") as growing:
        while True:
            ended = machine.poll() is not None
            sys.stdout.write(growing.read().decode(errors="replace"))
            sys.stdout.flush()
            if ended:
                return
            if time.monotonic() > deadline:
                raise TimeoutError
            time.sleep(0.1)


def _unpack(folder: Path) -> None:
    archive = folder / "results"
    if archive.stat().st_size:
        (folder / "files").mkdir()
        subprocess.run(["tar", "-C", str(folder / "files"), "-xf", str(archive)], check=True)
    archive.unlink()

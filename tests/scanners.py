"""Real virus scanners on loopback, that know one signature of ours: clamd, and c-icap which asks it.

No network and no database of anybody: a file of the test's is all that they know. One that is not installed skips its
tests here and fails them where `CI` is set.
"""

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from connector.checks.check import EICAR
from tests.absent import absent
from tests.servers import NotInstalledError, _program, free_port

#: What the scanners take for malicious, wherever it is in a file.
MALICIOUS = b"connector's own test of a signature, harmless"
#: clamd's StreamMaxLength.
LONGEST = 3 * 1024 * 1024
_MODULES = Path("/usr/lib/x86_64-linux-gnu/c_icap")


@dataclass(frozen=True)
class Running:
    """Scanners that are up."""

    #: clamd's socket.
    path: str
    #: clamd's port.
    port: int
    #: c-icap's port; 0 where it is not installed.
    icap: int
    stop: Callable[[], None]


def start_clamd() -> tuple[Path, int, subprocess.Popen[bytes]]:
    """clamd, in the foreground: its folder and port."""
    program = _program("clamd")
    work, port = Path(tempfile.mkdtemp(prefix="connector-clamd-")), free_port()
    (work / "db").mkdir()
    signatures = {"Connector.Test": MALICIOUS, "Connector.Eicar": EICAR}
    lines = (f"{name}:0:*:{content.hex()}\n" for name, content in signatures.items())
    (work / "db" / "own.ndb").write_text("".join(lines))
    settings = {
        "Foreground": "yes",
        "DatabaseDirectory": work / "db",
        "LocalSocket": work / "clamd.ctl",
        "TCPSocket": port,
        "TCPAddr": "127.0.0.1",
        "StreamMaxLength": f"{LONGEST // 1024 // 1024}M",
        "TemporaryDirectory": work,
        "LogFile": work / "clamd.log",
        "MaxThreads": 4,
    }
    (work / "clamd.conf").write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
    command = [program, f"--config-file={work / 'clamd.conf'}"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _await(process, port, work / "clamd.log")
    return work, port, process


def start_c_icap(clamd: Path) -> tuple[int, subprocess.Popen[bytes]]:
    """c-icap with its own service for scanning, which asks this clamd."""
    program = _program("c-icap")
    if not (_MODULES / "virus_scan.so").exists():
        raise NotInstalledError("c-icap's service virus_scan is not installed")
    port = free_port()
    (clamd / "c-icap.conf").write_text(f"""
PidFile {clamd}/c-icap.pid
CommandsSocket {clamd}/c-icap.ctl
Port 127.0.0.1:{port}
StartServers 1
MaxServers 1
ThreadsPerChild 4
MinSpareThreads 1
MaxSpareThreads 4
TmpDir {clamd}
ModulesDir {_MODULES}
ServicesDir {_MODULES}
TemplateDir /usr/share/c_icap/templates/
LoadMagicFile /etc/c-icap/c-icap.magic
ServerLog {clamd}/c-icap.log
AccessLog {clamd}/access.log
Module common clamd_mod.so
clamd_mod.ClamdSocket {clamd}/clamd.ctl
Service echo srv_echo.so
Service antivirus_module virus_scan.so
ServiceAlias avscan virus_scan?allow204=on&sizelimit=off&mode=simple
virus_scan.ScanFileTypes TEXT DATA EXECUTABLE ARCHIVE GIF JPEG MSOFFICE
virus_scan.MaxObjectSize 5M
virus_scan.DefaultEngine clamd
""")
    command = [program, "-N", "-f", str(clamd / "c-icap.conf")]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _await(process, port, clamd / "c-icap.log")
    return port, process


def _await(process: subprocess.Popen[bytes], port: int, logged: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                log = logged.read_text(errors="replace") if logged.exists() else "it wrote no log"
                raise RuntimeError(f"a scanner did not start:\n{log}") from None
            time.sleep(0.05)
        else:
            return


@pytest.fixture(scope="session")
def scanners() -> Iterator[Running]:
    """Both of them; clamd alone where c-icap is not installed."""
    processes: list[subprocess.Popen[bytes]] = []

    def stop() -> None:
        for process in reversed(processes):
            process.terminate()
            process.wait(20)

    try:
        work, port, process = start_clamd()
    except NotInstalledError as error:
        absent(str(error))
    processes.append(process)
    try:
        try:
            icap, process = start_c_icap(work)
            processes.append(process)
        except NotInstalledError:
            icap = 0
        yield Running(str(work / "clamd.ctl"), port, icap, stop)
    finally:
        stop()
        shutil.rmtree(work, ignore_errors=True)

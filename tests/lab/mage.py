"""A real Mage, its code unchanged, as processes of its own on loopback."""

import atexit
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import httpx

from tests.lab.environment import LabError, last_lines, mage_environment
from tests.lab.wire import Refused, Wire

EMAIL, PASSWORD = "admin@admin.com", "admin"
READY_WITHIN_S = 120.0
HERE = Path(__file__).resolve().parent

# Mage's pool of workers looks for jobs once a second, so that a run takes a second a block whatever the interval below
# one second is (3.1 s for three blocks at 0.3; at 2.5 it is 9.3, at Mage's own 10 it is 39). The race that lets runs
# hang is not a matter of the interval: see `seed.hold_workers`, which rules it out.
INTERVAL_S = 0.3


class PortTakenError(Exception):
    """Somebody else has the port that Mage was to have."""


class RealMage:
    """A running Mage. Stop it, or leave a `with` block, and nothing of it is left."""

    def __init__(self, root: Path, port: int, process: "subprocess.Popen[bytes]") -> None:
        self.root = root
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.project_dir = root / "demo_project"
        self.data_dir = root / "data"
        self.log = root / "mage.log"
        self._process = process
        atexit.register(self.stop)

    @classmethod
    def start(
        cls, prepare: Callable[[Path], object], *, auth: bool = False, interval: float = INTERVAL_S
    ) -> "RealMage":
        """Start Mage on the project that `prepare` writes into the folder it is given; return when it works."""
        venv = mage_environment()
        for _ in range(3):
            try:
                return cls._start(venv, prepare, auth=auth, interval=interval)
            except PortTakenError:
                continue
        raise LabError("Three times somebody took the port that Mage was to have. Run again")

    @classmethod
    def _start(cls, venv: Path, prepare: Callable[[Path], object], *, auth: bool, interval: float) -> "RealMage":
        with ExitStack() as undo:
            # A short path: sockets that Mage's processes make below it may have some 100 characters.
            root = Path(tempfile.mkdtemp(prefix="mage-lab-")).resolve()
            undo.callback(shutil.rmtree, root, ignore_errors=True)
            for folder in ("data", "home", "tmp"):
                (root / folder).mkdir()
            prepare(root / "demo_project")
            port = _free_port()
            mage = cls(root, port, _launch(root, venv, port, auth=auth, interval=interval))
            undo.callback(mage.stop)
            mage._wait_until_ready(auth=auth)
            undo.pop_all()
        return mage

    def stop(self) -> None:
        """End every process of this Mage and remove its files. Once is enough, twice does no harm."""
        atexit.unregister(self.stop)
        if self._process.stdin and not self._process.stdin.closed:
            self._process.stdin.close()  # the leash ends Mage's whole family when this closes
        self._process.wait(timeout=30)
        shutil.rmtree(self.root, ignore_errors=True)

    def __enter__(self) -> "RealMage":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _wait_until_ready(self, *, auth: bool) -> None:
        """Mage answers long before it works: wait for its scheduler, its database and its first user."""
        give_up, why = time.monotonic() + READY_WITHIN_S, "it has not answered"
        # With a login Mage accepts connections for seconds before it answers any: short time-outs, many tries.
        with Wire(self.url, timeout_s=5) as wire:
            while time.monotonic() < give_up:
                if self._process.poll() is not None:
                    raise LabError(f"Mage ended while starting:\n{last_lines(self.log)}")
                self._check_port()
                try:
                    self._check_ready(wire, auth=auth)
                except (httpx.TransportError, ValueError, KeyError, Refused, NotReadyError) as error:
                    why = f"{type(error).__name__} {error}"
                    time.sleep(0.1)
                else:
                    return
        raise LabError(f"Mage was not ready within {READY_WITHIN_S:.0f} s, {why}:\n{last_lines(self.log)}")

    def _check_port(self) -> None:
        # Mage moves on to the next free port, silently, when somebody has taken the one it was told.
        told = re.search(r"Mage is running at http://[^:/]+:(\d+)", self.log.read_text(errors="replace"))
        if told and int(told[1]) != self.port:
            raise PortTakenError

    def _check_ready(self, wire: Wire, *, auth: bool) -> None:
        status = wire.get("/api/status")["statuses"][0]
        if Path(status["repo_path"]).resolve() != self.project_dir:
            raise PortTakenError
        if status["scheduler_status"] != "running":
            raise NotReadyError("its scheduler is not running")
        if auth:
            wire.login(EMAIL, PASSWORD)
        wire.get("/api/pipeline_schedules", _limit=1)


class NotReadyError(Exception):
    """Mage answers, but does not work yet."""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _launch(root: Path, venv: Path, port: int, *, auth: bool, interval: float) -> "subprocess.Popen[bytes]":
    mage = [venv / "bin" / "mage", "start", root / "demo_project", "--host", "127.0.0.1", "--port", port]
    with (root / "mage.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, str(HERE / "leash.py"), str(root), *map(str, mage)],
            cwd=root,  # Mage leaves a few files where it is started
            env=_variables(root, venv, auth=auth, interval=interval),
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _variables(root: Path, venv: Path, *, auth: bool, interval: float) -> dict[str, str]:
    """Mage's environment. Of the caller's only what every program needs: a MAGE_DATABASE_… of theirs must not count."""
    kept = {name: os.environ[name] for name in ("LANG", "LC_ALL", "TZ") if name in os.environ}
    return kept | {
        "PATH": os.pathsep.join([str(venv / "bin"), os.environ.get("PATH", os.defpath)]),
        "HOME": str(root / "home"),
        "TMPDIR": str(root / "tmp"),
        "MAGE_DATA_DIR": str(root / "data"),
        "REQUIRE_USER_AUTHENTICATION": "1" if auth else "0",
        "JWT_SECRET": secrets.token_hex(16),
        "SCHEDULER_TRIGGER_INTERVAL": str(interval),
        "PYTHONPATH": str(HERE / "offline"),
        "DISABLE_AUTO_BROWSER_OPEN": "1",
        "DISABLE_AUTORELOAD": "1",
        "DISABLE_TERMINAL": "1",
        "ENABLE_HUGGING_FACE": "0",
        "ENABLE_OPEN_AI": "0",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }

"""The virtual environment that a real Mage runs in: built once, kept in the repository's cache."""

import importlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MAGE_VERSION = "0.9.80"
# What the resolver may see: the same packages on every machine. Only uv knows this; pip takes what is newest.
EXCLUDE_NEWER = "2026-11-20T00:00:00Z"
CACHE_VARIABLE = "MAGE_MCP_TEST_CACHE"
REPOSITORY = Path(__file__).resolve().parents[2]

TOO_NEW = (3, 13)


class LabError(Exception):
    """The real Mage cannot be had; says why, and what to do."""


def cache_folder() -> Path:
    """Where the environment is kept from one test run to the next."""
    chosen = os.environ.get(CACHE_VARIABLE, "")
    return Path(chosen).expanduser() if chosen else REPOSITORY / ".cache" / f"mage-{MAGE_VERSION}"


def mage_environment() -> Path:
    """The folder of a virtual environment with Mage in it. The first call on a machine builds it."""
    folder = cache_folder().absolute()
    folder.mkdir(parents=True, exist_ok=True)
    venv, ready = folder / "venv", folder / "ready.json"
    wanted = {"mage": MAGE_VERSION, "exclude_newer": EXCLUDE_NEWER}
    with _only_one(folder / "lock") as lock:
        if not _is_ready(venv, ready, wanted):
            # The note that it is ready is the first to go and the last to come: half an environment never counts.
            ready.unlink(missing_ok=True)
            shutil.rmtree(venv, ignore_errors=True)
            _build(venv, folder / "build.log", lock)
            ready.write_text(json.dumps(wanted))
    return venv


@contextmanager
def _only_one(lock: Path) -> Iterator[int]:
    """Wait for other test runs on this machine that build the same environment; the system frees a dead one's lock."""
    import fcntl

    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()


def _is_ready(venv: Path, ready: Path, wanted: dict[str, str]) -> bool:
    try:
        noted = json.loads(ready.read_text())
    except (OSError, ValueError):
        return False
    # exists() follows links: an environment whose Python is gone is built anew.
    return noted == wanted and (venv / "bin" / "python").exists() and (venv / "bin" / "mage").exists()


def _build(venv: Path, log: Path, lock: int) -> None:
    interpreter, target, package = _python(), str(venv / "bin" / "python"), f"mage-ai=={MAGE_VERSION}"
    uv = _uv()
    if uv:
        make = [uv, "venv", "--python", interpreter, str(venv)]
        fill = [uv, "pip", "install", "--python", target, "--exclude-newer", EXCLUDE_NEWER, package]
    else:
        make = [interpreter, "-m", "venv", str(venv)]
        fill = [target, "-m", "pip", "install", "--disable-pip-version-check", package]
    print(f"\nbuilding the environment of a real Mage {MAGE_VERSION} (once; a minute or two)", file=sys.stderr)
    with log.open("w") as output:
        for command in (make, fill):
            # An installer that outlives a killed test run keeps the lock, so that nobody builds beside it.
            status = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, pass_fds=[lock], check=False
            ).returncode
            if status:
                raise LabError(
                    f"Installing {package} failed: {last_lines(log)}\n"
                    f"The whole output is in {log}. Mend the cause and run again, or leave the real Mage out: --no-real"
                )


def _uv() -> str | None:
    """The uv program: the one of this environment, else the one on PATH."""
    try:
        return str(importlib.import_module("uv").find_uv_bin())
    except (ImportError, FileNotFoundError):
        return shutil.which("uv")


def _python() -> str:
    """A Python that Mage runs on: this one, else one on PATH."""
    if sys.version_info[:2] < TOO_NEW:
        return sys.executable
    for name in ("python3.11", "python3.12"):  # for older ones a package has to be compiled, for ten minutes
        found = shutil.which(name)
        # A version manager's stand-in can be on PATH without a Python behind it: it has to run.
        if found and subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode == 0:
            return found
    version = ".".join(map(str, sys.version_info[:2]))
    raise LabError(
        f"Mage {MAGE_VERSION} runs on Python 3.12 at most, the tests run on {version} and no other is on PATH. "
        "Put python3.11 on PATH (for instance with: uv python install 3.11), or leave the real Mage out: --no-real"
    )


def last_lines(log: Path, count: int = 20) -> str:
    """The end of a log, for an error message."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-count:])

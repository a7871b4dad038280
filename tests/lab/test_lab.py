"""The lab itself, as far as it can be tested without a Mage."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.lab import environment, leash
from tests.lab.environment import LabError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the lab runs on Linux and macOS")

# Starts a process in a session of its own, which no signal to the group reaches, and says both ids.
FAMILY = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
print(os.getpid(), child.pid, flush=True)
time.sleep(60)
"""


def test_the_leash_ends_the_whole_family_when_its_owner_lets_go(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    (folder / "below").mkdir(parents=True)
    command = [sys.executable, leash.__file__, str(folder), sys.executable, "-c", FAMILY]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as held:
        assert held.stdout
        family = {int(pid) for pid in held.stdout.readline().split()}
        assert len(family) == 2
        assert family <= set(leash.processes())
        held.communicate(timeout=10)
    assert not family & set(leash.processes())
    assert not folder.exists()


@pytest.fixture
def builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """An empty cache, and the builds that a stand-in for the installer was asked for."""
    done: list[Path] = []

    def build(venv: Path, log: Path, lock: int) -> None:
        done.append(venv)
        for program in ("python", "mage"):
            (venv / "bin").mkdir(parents=True, exist_ok=True)
            (venv / "bin" / program).touch()

    monkeypatch.setenv(environment.CACHE_VARIABLE, str(tmp_path))
    monkeypatch.setattr(environment, "_build", build)
    return done


def test_the_environment_is_built_once(builds: list[Path]) -> None:
    assert environment.mage_environment() == environment.mage_environment()
    assert len(builds) == 1


def test_an_interrupted_build_does_not_count(
    builds: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    complete = environment._build

    def interrupted(venv: Path, log: Path, lock: int) -> None:
        complete(venv, log, lock)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(environment, "_build", interrupted)
        with pytest.raises(KeyboardInterrupt):
            environment.mage_environment()
    left = tmp_path / "venv" / "left_behind"
    left.touch()
    environment.mage_environment()
    assert len(builds) == 2
    assert not left.exists()


def test_an_environment_whose_python_is_gone_is_built_anew(builds: list[Path]) -> None:
    (environment.mage_environment() / "bin" / "python").unlink()
    environment.mage_environment()
    assert len(builds) == 2


def test_the_lock_is_held_as_long_as_an_installer_lives(tmp_path: Path) -> None:
    with environment._only_one(tmp_path / "lock") as lock:
        installer = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(0.5)"], pass_fds=[lock])
    started = time.monotonic()
    with environment._only_one(tmp_path / "lock"):
        assert installer.wait(timeout=10) == 0
        assert time.monotonic() - started > 0.2


def test_without_a_python_that_mage_runs_on_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 14, 0))
    monkeypatch.setenv("PATH", os.devnull)
    with pytest.raises(LabError, match=r"the tests run on 3\.14 .* Put python3\.11 on PATH .* --no-real"):
        environment._python()

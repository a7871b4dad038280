"""`mage-mcp demo`: a tour without an account, a Mage or any configuration; or the simulated Mage as a web server."""

import argparse
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from mage_mcp.commands._options import port

_INTERRUPTED = 130
"""The exit code of what Ctrl-C ended, as shells have it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--fast", action="store_true", help="without pauses to read in")
    how.add_argument(
        "--serve", type=port, metavar="PORT", help="no tour: serve the simulated Mage on 127.0.0.1; 0 picks a free port"
    )


def run(arguments: argparse.Namespace) -> int:
    """Show the tour, or serve till the process is stopped."""
    if arguments.serve is None:
        return _tour(fast=arguments.fast)
    from mage_mcp.demo.serve import serve

    try:
        serve(arguments.serve)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else type(error).__name__
        print(f"mage-mcp: port {arguments.serve} cannot be had ({why}). 0 picks a free one.", file=sys.stderr)
        return 1
    return 0


def _tour(*, fast: bool) -> int:
    """0; 1 and a sentence on stderr where the server refused or ended."""
    import anyio

    from mage_mcp.tour.guide import Pace, take_the_tour
    from mage_mcp.tour.screen import Line, screen_for
    from mage_mcp.tour.server import TourFailed
    from mage_mcp.tour.summary import opening, summary

    screen = screen_for(sys.stdout)
    try:
        for line in opening():
            screen.show(line)
        cost = anyio.run(take_the_tour, screen, Pace.fast() if fast else Pace.calm())
        for line in summary(cost, **_here()):
            screen.show(line)
    except KeyboardInterrupt:
        screen.show(Line("text", "Stopped."))
        return _INTERRUPTED
    except TourFailed as failed:
        print(f"mage-mcp: {failed}", *failed.lines, sep="\n  ", file=sys.stderr)
        return 1
    return 0


def _here() -> dict[str, Any]:
    """How mage-mcp is started here, and which applications there are that can: looked for, not looked into."""
    from mage_mcp.hosts.installation import NAME, Interpreter, installation
    from mage_mcp.hosts.table import HOSTS

    found = installation(Interpreter.here())
    entry = _quoted(found.command, *found.args)
    places: dict[str, Any] = {"system": sys.platform, "environ": os.environ, "home": Path.home(), "project": Path.cwd()}
    files = {key: host.file("user", **places) for key, host in HOSTS.items()}
    there = {key for key, file in files.items() if (file.parent.is_dir() if file else shutil.which("claude"))}
    return {
        # A note says that this installation is not one to stay: then its name leads nowhere in another shell.
        "command": entry if found.note else NAME,
        "entry": entry,
        "hosts": {key: host.title for key, host in HOSTS.items() if key in there},
    }


def _quoted(*words: str) -> str:
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)

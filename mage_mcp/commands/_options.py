"""The options that every command which needs the settings takes, before or after its name."""

import argparse
import sys
from collections.abc import Sequence

from mage_mcp.errors import MageError
from mage_mcp.settings import Settings
from mage_mcp.settings_load import load_settings

_VALUES = ("url", "config", "toolsets", "confirm", "audit", "log_level", "demo_pace")
_FLAGS = ("read_only", "protected", "demo")


def add_settings_options(parser: argparse.ArgumentParser, *, shown: Sequence[str] = ()) -> None:
    """Add them; one that is not given leaves nothing in the namespace, so that it may stand in either place.

    With `shown` the others are taken too, but `--help` does not list what changes nothing there.
    """
    options = parser.add_argument_group("settings")

    def add(name: str, **how: object) -> None:
        if shown and name not in shown:
            how["help"] = argparse.SUPPRESS
        options.add_argument(name, default=argparse.SUPPRESS, **how)  # type: ignore[arg-type]

    add("--url", metavar="URL", help="the Mage server (MAGE_URL)")
    add("--config", metavar="FILE", help="several clusters, as [clusters.NAME] tables (MAGE_CONFIG)")
    add("--toolsets", metavar="NAMES", help="comma-separated, or all (MAGE_TOOLSETS)")
    add("--read-only", action="store_true", help="offer and send nothing that changes anything")
    add("--protected", action="store_true", help="ask a person before anything is changed")
    add("--audit", metavar="FILE", help="write audit lines there instead of to stderr (MAGE_AUDIT)")
    add("--confirm", choices=("ask", "person", "never"), help="who agrees to what destroys")
    add("--log-level", choices=("DEBUG", "INFO", "WARNING", "ERROR"), help="what goes to stderr")
    add("--demo", action="store_true", help="a simulated Mage: no account, no network")
    # For the tour: the simulated Mage's time passes only while a call waits, N times as fast.
    add("--demo-pace", type=_pace, metavar="N", help=argparse.SUPPRESS)


def _pace(text: str) -> float:
    pace = float(text)
    if not 0 < pace < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is no number above 0")
    return pace


def port(text: str) -> int:
    """A port to listen on; 0 takes a free one."""
    if not text.isdecimal() or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"{text} is no port: a number from 0 to 65535")
    return int(text)


def settings_from(arguments: argparse.Namespace) -> Settings | None:
    """The settings that the command line, the environment and the file make; None, and a sentence on stderr, if wrong.

    A command then ends with 2, as argparse does.
    """
    flags = {name: getattr(arguments, name, None) for name in (*_VALUES, *_FLAGS)}
    try:
        return load_settings(flags)
    except MageError as error:
        print(f"mage-mcp: {error}", file=sys.stderr)
        return None

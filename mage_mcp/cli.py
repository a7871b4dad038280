"""The command line. Without a command it serves stdio, since that is what an MCP client's configuration launches."""

import argparse
import difflib
import importlib
import os
import re
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from mage_mcp import __version__
from mage_mcp.commands import COMMANDS
from mage_mcp.commands._options import add_settings_options
from mage_mcp.settings import DEFAULT_TOOLSETS, TOOLSETS

_DEFAULT, _MORE = ", ".join(DEFAULT_TOOLSETS), ", ".join(TOOLSETS[len(DEFAULT_TOOLSETS) :])
_EPILOG = f"""\
environment (flags win, save that read-only set anywhere holds):
  MAGE_URL         the Mage server, e.g. http://localhost:6789; a link copied from the browser will do
  MAGE_EMAIL, MAGE_PASSWORD      where the server asks for a login
  MAGE_TOKEN       or a ready session token, as JWT or raw; `mage-mcp login` keeps one without any of these
  MAGE_API_KEY     only where it is not Mage's own
  MAGE_TEAM_ID, MAGE_CLUSTER_ID  the cluster's place in Mage Cloud, to start and stop it and to change its variables
  MAGE_CLOUD_EMAIL, MAGE_CLOUD_PASSWORD      the login there
  MAGE_CONFIG      a file with several clusters; else config.toml in your user's config folder, if there is one
  MAGE_TOOLSETS    {_DEFAULT} (the default), {_MORE}, or all
  MAGE_READ_ONLY   true: offer and send nothing that changes anything
  MAGE_PROTECTED   true: ask a person before anything is changed, whatever MAGE_CONFIRM says
  MAGE_CONFIRM     ask (default): a person, or by preview and code where the client cannot ask;
                   person: refuse where no person can be asked; never: for unattended use
  MAGE_AUDIT       file for one JSON line before and after each change; to stderr if unset
  MAGE_LOG_LEVEL   DEBUG, INFO, WARNING (default) or ERROR, to stderr

try it without a Mage:
  mage-mcp demo              shows what can be asked, and what comes back
  mage-mcp --demo            serves a simulated one to your client
"""


_INTERRUPTED, _UNREAD = 130, 141
"""The exit codes of what Ctrl-C ended, and of what was piped into something that ended, as shells have them."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    try:
        arguments = _parser().parse_args(argv)
        command = importlib.import_module(f"mage_mcp.commands.{arguments.command or 'serve'}")
        code = int(command.run(arguments))
        if not sys.stdout.closed:
            sys.stdout.flush()  # now, and not when Python ends and can only complain
    except KeyboardInterrupt:
        sys.stderr.write("\n")  # ^C stands in the line
        return _INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains at its exit
        return _UNREAD
    return code


class _Parser(argparse.ArgumentParser):
    """Complains in one sentence, with what was probably meant, and not with its whole usage."""

    def error(self, message: str) -> NoReturn:
        if message.startswith("the following arguments are required"):  # whose choices are in the usage
            self.print_usage(sys.stderr)
        near = self._near(message)
        meant = f" Did you mean {' or '.join(near)}?" if near else ""
        self.exit(2, f"{self.prog}: {message.rstrip('.')}.{meant} `{self.prog} --help` says more.\n")

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        sys.stdout.flush()  # --help may be piped into something that ends
        super().exit(status, message)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Takes all or complains: what is left over is told where the options are known. Values are not repeated."""
        known, left = super().parse_known_args(args, namespace)
        if left:
            options = [word.partition("=")[0] for word in left if word.startswith("-")]
            self.error(f"unrecognized arguments: {' '.join(options or left)}")
        return known, left

    def _near(self, message: str) -> list[str]:
        choice = re.search(r"invalid choice: '?([^' ]*)'? \(choose from (.*)\)", message)
        if choice:
            return difflib.get_close_matches(choice[1], re.findall(r"[\w-]+", choice[2]), n=2)
        shown = [flag for each in self._actions if each.help != argparse.SUPPRESS for flag in each.option_strings]
        _, _, given = message.partition("unrecognized arguments: ")
        return difflib.get_close_matches(given.partition(" ")[0], shown, n=1, cutoff=0.7) if given else []


class _Command(_Parser):
    """A command's parser, whose module is imported when it is used: serving stdio needs none of them."""

    module = ""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        if self.module:
            importlib.import_module(f"mage_mcp.commands.{self.module}").add_arguments(self)
            self.module = ""
        return super().parse_known_args(args, namespace)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="mage-mcp",
        description="MCP server for Mage. Without a command it serves stdio, as MCP clients launch it.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"mage-mcp {__version__}")
    add_settings_options(parser)
    commands = parser.add_subparsers(
        dest="command",
        metavar="command",
        title="commands",
        description="mage-mcp COMMAND --help says more of each.",
        parser_class=_Command,
    )
    for name, says in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=says,
            description=f"{says[:1].upper()}{says[1:]}.",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.module = name
    return parser

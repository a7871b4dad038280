"""What the commands that keep logins and secrets have in common: which cluster is meant, and what is typed hidden."""

import argparse
import getpass
import sys
from collections.abc import Callable, Sequence

from mage_mcp.errors import MageError, MageInvalid, MageNotConfigured
from mage_mcp.settings import Cluster, Settings
from mage_mcp.text import one_line

ON_THE_COMMAND_LINE = (
    "mage-mcp: nothing secret on the command line: it would stay in the shell's history and show in the list of "
    "processes. Leave it out: it is asked for, or read from standard input. Take one that you typed so for known."
)


def add_place_options(parser: argparse.ArgumentParser) -> None:
    """`--cluster` and `--cloud`."""
    parser.add_argument(
        "--cluster", metavar="NAME", default="", help="the one of the config file, if there are several"
    )
    parser.add_argument("--cloud", action="store_true", help="the login to Mage Cloud, not to the cluster's own API")


def refuse_on_the_command_line(parser: argparse.ArgumentParser, *flags: str) -> None:
    """Take what people try, so that it is refused without being repeated: argparse would print it."""
    parser.add_argument("surplus", nargs="*", default=[], help=argparse.SUPPRESS)
    for flag in flags:
        parser.add_argument(flag, dest="surplus_flag", nargs="?", const="", help=argparse.SUPPRESS)


def is_on_the_command_line(arguments: argparse.Namespace) -> bool:
    """Whether something was typed there that has no business there; says so on stderr."""
    if not arguments.surplus and getattr(arguments, "surplus_flag", None) is None:
        return False
    complain(ON_THE_COMMAND_LINE)
    return True


def cluster_of(settings: Settings, name: str, *, cloud: bool) -> Cluster:
    """The cluster that is meant.

    Raises MageNotConfigured, MageInvalid.
    """
    names = [cluster.name for cluster in settings.clusters]
    if name:
        found = next((cluster for cluster in settings.clusters if cluster.name == name), None)
        if found is None:
            raise MageInvalid(
                f"No cluster {one_line(name, 40)!r} is configured.", next_step=f"There are: {_list(names)}."
            )
    elif len(settings.clusters) == 1 or (cloud and len({each.cloud_url for each in settings.clusters}) == 1):
        found = settings.cluster
    else:
        raise MageInvalid("Several clusters are configured.", next_step=f"Say which: --cluster, one of {_list(names)}.")
    if not cloud and not found.url:
        raise MageNotConfigured(
            "No Mage server is configured.", next_step="Say which: `mage-mcp login --url https://your-mage`."
        )
    return found


def _list(names: Sequence[str]) -> str:
    return ", ".join(one_line(name, 40) for name in names)


def place_of(cluster: Cluster, *, cloud: bool) -> str:
    """How sentences name where somebody logs in."""
    return f"Mage Cloud ({cluster.cloud_url})" if cloud else f"{cluster.label} ({cluster.url})"


def ask_hidden(prompt: str) -> str:
    """What the person types without seeing it; where there is no terminal, the first line of standard input.

    Raises MageInvalid where nothing is given.
    """
    return _given(lambda: getpass.getpass(prompt) if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n"))


def ask_person(prompt: str) -> str:
    """What the person types at a terminal. Raises MageInvalid where nothing is given."""
    return _given(lambda: input(prompt).strip())


def _given(answer: Callable[[], str]) -> str:
    try:
        given = answer()
    except (KeyboardInterrupt, EOFError):
        given = ""
        print(file=sys.stderr)  # the prompt stands in the line
    if not given:
        raise MageInvalid("Nothing was given; nothing was kept.")
    return given


def complain(error: MageError | str) -> None:
    print(error if isinstance(error, str) else f"mage-mcp: {error.what} {error.next_step}".strip(), file=sys.stderr)

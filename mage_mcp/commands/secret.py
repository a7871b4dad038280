"""`mage-mcp secret`: values for `update_cluster_env_vars(set_from=…)`, which never pass through a conversation.

A server that a desktop application starts does not have the variables of your shell; it has these.
"""

import argparse
import os
import re
import sys

from mage_mcp.commands._login import ask_hidden, complain, is_on_the_command_line, refuse_on_the_command_line
from mage_mcp.credentials import SECRET_PREFIX, Store, StoreUnusable
from mage_mcp.credentials.store import PERSON_LIMIT_S
from mage_mcp.errors import MageInvalid

_NAME = re.compile(r"[A-Za-z0-9_]{1,100}")
_LARGEST = 64 * 1024


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("set", "list", "delete"), help="list shows names, never values")
    parser.add_argument("name", nargs="?", default="", metavar="NAME", help=f"{SECRET_PREFIX} in front may be left out")
    refuse_on_the_command_line(parser, "--value", "--password", "--token")
    parser.epilog = """\
The value is asked for; without a terminal it is standard input. The assistant is told the name, and the server fetches
the value: update_cluster_env_vars(set_from={"VARIABLE": "MAGE_MCP_SECRET_NAME"}).

  mage-mcp secret set SNOWFLAKE_KEY
  mage-mcp secret set SNOWFLAKE_KEY < key.pem
"""


def run(arguments: argparse.Namespace) -> int:
    """0 where it was done; 1 where that failed; 2 where the question was wrong."""
    if is_on_the_command_line(arguments):
        return 2
    store = Store(limit_s=PERSON_LIMIT_S)
    try:
        if arguments.action == "list":
            return _list(store)
        name = _full_name(arguments.name)
        return _set(store, name) if arguments.action == "set" else _delete(store, name)
    except MageInvalid as error:
        complain(error)
        return 2
    except StoreUnusable as error:
        complain(f"mage-mcp: {error}")
        return 1


def _full_name(given: str) -> str:
    bare = given.removeprefix(SECRET_PREFIX)
    if not _NAME.fullmatch(bare):  # which may be a value: it is not repeated
        raise MageInvalid(
            "A secret needs a name of letters, digits and underscores.", next_step="Such as SNOWFLAKE_KEY."
        )
    return SECRET_PREFIX + bare


def _set(store: Store, name: str) -> int:
    if sys.stdin.isatty():
        value = ask_hidden(f"Value of {name} (not shown): ")
        if ask_hidden("Once more: ") != value:
            raise MageInvalid("The two differ; nothing was kept.")
    else:
        value = sys.stdin.read(_LARGEST + 1).removesuffix("\n").removesuffix("\r")
    if not value or len(value) > _LARGEST:
        raise MageInvalid(f"A value has between 1 and {_LARGEST} characters; nothing was kept.")
    place = store.keep_secret(name, value)
    if place.problem:
        print(f"{place.problem} So it is kept in a file.")
    print(f"{name} is kept in {place.title}.")
    print(f'A running server has it at once: update_cluster_env_vars(set_from={{"VARIABLE": "{name}"}}).')
    if os.environ.get(name):
        print("Note that a variable of this name in the server's environment would come first.")
    return 0


def _list(store: Store) -> int:
    """The variables of this shell are listed too, though a server has only those that it was started with."""
    kept, problem = store.secrets()
    here = {name for name, value in os.environ.items() if name.startswith(SECRET_PREFIX) and value}
    for name in sorted({*kept, *here}):
        places = [*(["this shell's environment"] if name in here else []), *([kept[name]] if name in kept else [])]
        print(f"{name}  {', '.join(places)}")
    if not kept and not here and not problem:
        print("No secret is kept. `mage-mcp secret set NAME` keeps one.")
    if problem:
        complain(f"mage-mcp: the list may not be whole. {problem}")
    return 1 if problem else 0


def _delete(store: Store, name: str) -> int:
    removed = store.forget_secret(name)
    print(f"{name} was removed from the {' and the '.join(removed)}." if removed else f"{name} was not kept.")
    return 0

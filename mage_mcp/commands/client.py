"""`mage-mcp client`: the configuration with which a host launches this mage-mcp, printed or merged into its file.

The configuration goes to standard output, what there is to say about it to standard error. Nothing secret is printed
or written: passwords and tokens belong into the keyring (`mage-mcp login`).
"""

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from mage_mcp.commands._options import add_settings_options, settings_from
from mage_mcp.hosts.editing import current, is_too_rich, snippet, with_entry, without_entry
from mage_mcp.hosts.files import CannotWrite, Found, find, write
from mage_mcp.hosts.installation import Installation, Interpreter, installation
from mage_mcp.hosts.launch import Launch, entry, is_ours, launch, updated
from mage_mcp.hosts.table import HOSTS, Host, Scope
from mage_mcp.settings import Settings
from mage_mcp.text import MASK, one_line

_OF_A_LOGIN = ("MAGE_PASSWORD", "MAGE_TOKEN", "MAGE_CLOUD_PASSWORD")
"""What `mage-mcp login` makes needless."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("host", choices=tuple(HOSTS), help="the application that is to launch mage-mcp")
    parser.add_argument("--write", action="store_true", help="merge it into the host's file instead of printing it")
    parser.add_argument("--remove", action="store_true", help="take the entry out of the host's file again")
    parser.add_argument("--name", type=_name, default="mage", help="the entry's name (default: mage)")
    parser.add_argument("--scope", choices=("user", "project"), default="user", help="for you, or for this folder")
    parser.add_argument("--file", type=Path, metavar="FILE", help="the host's file, where it is not in its usual place")
    parser.add_argument("--force", action="store_true", help="replace or remove an entry that starts something else")
    add_settings_options(parser)
    parser.epilog = """\
The settings go into the entry, save secrets: for these there is `mage-mcp login`.

  mage-mcp client cursor --url http://localhost:6789              shows the entry
  mage-mcp client cursor --url http://localhost:6789 --write      puts it into Cursor's file
  mage-mcp client cursor --remove                                 takes it out again
"""


def _name(text: str) -> str:
    """Letters, digits, `-` and `_`: Claude Code and Codex refuse all others."""
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,60}", text):
        raise argparse.ArgumentTypeError("a name has letters, digits, - and _")
    return text


def run(arguments: argparse.Namespace) -> int:
    """0 where all was done, or was so already; 1 where a file was left alone; 2 where the question makes no sense."""
    host, scope = HOSTS[arguments.host], arguments.scope
    if scope not in host.scopes:
        _say(f"{host.title} has no configuration of a project; leave --scope out.")
        return 2
    path = arguments.file or _usual_file(host, scope)
    if arguments.remove:
        return _remove(host, path, arguments)
    settings = settings_from(arguments)
    if settings is None:
        return 2
    what = launch(settings, vars(arguments), os.environ, Path.cwd())
    start = installation(Interpreter.here(), by_name=scope == "project")
    made = entry(host, start, what, shared=scope == "project")
    if path is None:
        _print_command(host, arguments.name, made)
    elif not arguments.write:
        print(snippet(host, arguments.name, made))
        _say(f"This goes into {path}; --write puts it there.")
    _advise(host, settings, start, what, arguments)
    if not arguments.write:
        return 0
    if path is None:
        _say(
            "Nothing was written: ~/.claude.json is Claude Code's own state, which it rewrites while it runs. "
            "Run the command above, or use --scope project for a .mcp.json in this folder."
        )
        return 1
    return _merge(host, path, made, arguments)


def _usual_file(host: Host, scope: Scope) -> Path | None:
    return host.file(scope, system=sys.platform, environ=os.environ, home=Path.home(), project=Path.cwd())


def _print_command(host: Host, name: str, made: dict[str, Any]) -> None:
    """Claude Code's own command, which alone may write its state."""
    env = [part for key, value in made.get("env", {}).items() for part in ("--env", f"{key}={value}")]
    command = ["claude", "mcp", "add", name, "--scope", "user", *env, "--", made["command"], *made.get("args", [])]
    print(_quoted(command))
    _say(f"Run this for {host.title} in all your projects; --scope project is for a .mcp.json in this folder.")


def _quoted(command: list[str]) -> str:
    return subprocess.list2cmdline(command) if os.name == "nt" else shlex.join(command)


def _advise(host: Host, settings: Settings, start: Installation, what: Launch, arguments: argparse.Namespace) -> None:
    """What a person should know before relying on it."""
    if start.note:
        _say(start.note)
    if arguments.scope == "project" and Path(start.command).is_absolute():
        _say(f"PATH does not lead to this mage-mcp, so what others share would hold a path of yours: {start.command}.")
    forwards = host.forwarding == "env_vars" or (host.forwarding == "expand" and arguments.scope == "project")
    for name in what.secrets:
        kept = f"`{_login(name, settings)}` keeps a login where the server finds it" if name in _OF_A_LOGIN else ""
        if forwards:
            other = f"; or {kept}" if kept else ""
            _say(f"{name} stands there without its value: start {host.title} where it is set{other}.")
        else:
            _say(f"{name} is a secret and is left out: {kept or f'{host.title} must have it in its environment'}.")
    if not (settings.demo or any(cluster.url or cluster.in_cloud for cluster in settings.clusters)):
        _say("No Mage is configured yet: give --url or --config, or --demo to look around without one.")


def _login(variable: str, settings: Settings) -> str:
    """The command that is typed in a terminal in which the variables of the entry may not be set."""
    if variable == "MAGE_CLOUD_PASSWORD":
        return "mage-mcp login --cloud"
    return "mage-mcp login" + (f" --url {shlex.quote(settings.cluster.url)}" if settings.cluster.url else "")


def _merge(host: Host, path: Path, made: dict[str, Any], arguments: argparse.Namespace) -> int:
    name = arguments.name
    is_new_here = not path.parent.exists() and arguments.file is None and arguments.scope == "user"
    try:
        found, text = _read(path)
        existing = current(host, text, name)
        if existing is not None and not is_ours(existing) and not arguments.force:
            return _leave_other(path, name, existing)
        wanted = updated(existing, made) if is_ours(existing) else made
        if existing == wanted:
            print(f"{path} has this entry already; nothing was changed.")
            return 0
        edited = with_entry(host, text, name, wanted)
        if is_too_rich(host, text):
            _say(f"{path} has comments or trailing commas, which {host.title} may not read: it takes plain JSON.")
        backup = write(found, found.encoded(edited))
    except (CannotWrite, OSError, ValueError) as error:
        _say(_why(path, error))
        if not isinstance(error, CannotWrite):
            _say("It was left alone. Put this into it yourself:")
        print(snippet(host, name, made))
        return 1
    print(f"{'Updated' if existing is not None else 'Added'} {name!r} in {path}.")
    if backup:
        print(f"What was there is kept in {backup}.")
    if is_new_here:
        print(f"The folder was not there: is {host.title} installed?")
    print(host.after)
    if not getattr(arguments, "demo", False):
        print(f"`{_doctor(arguments)}` says whether Mage answers, and what to do if not.")
    return 0


def _doctor(arguments: argparse.Namespace) -> str:
    """The check of what was just written, with the flags that this terminal's environment does not stand for."""
    given = {f"--{name}": value for name in ("url", "config") if (value := getattr(arguments, name, None))}
    return shlex.join(["mage-mcp", "doctor", *(word for pair in given.items() for word in pair)])


def _remove(host: Host, path: Path | None, arguments: argparse.Namespace) -> int:
    name = arguments.name
    if path is None:
        print(_quoted(["claude", "mcp", "remove", name, "--scope", "user"]))
        _say(f"Run this: only {host.title} itself writes its user's configuration.")
        return 0
    try:
        found, text = _read(path)
        existing = current(host, text, name)
        if existing is None:
            print(f"{path} has no entry {name!r}; nothing was changed.")
            return 0
        if not is_ours(existing) and not arguments.force:
            return _leave_other(path, name, existing)
        backup = write(found, found.encoded(without_entry(host, text, name)))
    except (CannotWrite, OSError, ValueError) as error:
        _say(f"{_why(path, error)} Take the entry out by hand.")
        return 1
    print(f"Removed {name!r} from {path}.\nWhat was there is kept in {backup}.")
    return 0


def _read(path: Path) -> tuple[Found, str]:
    found = find(path)
    try:
        return found, found.text
    except UnicodeDecodeError:
        raise ValueError("It is not in UTF-8.") from None


def _why(path: Path, error: Exception) -> str:
    if isinstance(error, CannotWrite):
        return str(error)
    if isinstance(error, OSError):
        return f"{path} cannot be read ({error.strerror or type(error).__name__})."
    return f"{path} cannot be edited. {one_line(str(error))}"


def _leave_other(path: Path, name: str, existing: Any) -> int:
    """Say what is there, without the values that may be secret."""
    shown = existing
    if isinstance(existing, dict):
        shown = {
            key: dict.fromkeys(value, MASK) if isinstance(value, dict) else value for key, value in existing.items()
        }
    _say(
        f"{path} has an entry {name!r} that starts something else: {one_line(json.dumps(shown, default=str), 400)}. "
        "It was left alone. Give another --name, or --force."
    )
    return 1


def _say(text: str) -> None:
    print(text, file=sys.stderr)

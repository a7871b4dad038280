"""`mage-mcp`, and `mage-mcp serve`: the server itself, over stdio or HTTP."""

import argparse
import gc
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mage_mcp.commands._options import add_settings_options, port, settings_from
from mage_mcp.errors import MageError
from mage_mcp.settings import Settings

if TYPE_CHECKING:
    from mage_mcp.server import MageServer

_HTTP_ONLY = (
    "host", "port", "path", "allowed_hosts", "allowed_origins", "token_file", "keys_file", "no_auth",
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_settings_options(parser)
    http = parser.add_argument_group(
        "HTTP", "TLS is for the proxy before it. All callers act with the Mage login that is configured here."
    )
    http.add_argument("--http", action="store_true", help="serve Streamable HTTP instead of stdio")
    http.add_argument("--host", metavar="ADDRESS", help="address to listen on (127.0.0.1)")
    http.add_argument("--port", type=port, metavar="PORT", help="port to listen on (8080); 0 takes a free one")
    http.add_argument("--path", metavar="PATH", help="where MCP is served (/mcp); /health says that the process lives")
    http.add_argument(
        "--allowed-host",
        action="append",
        dest="allowed_hosts",
        metavar="NAME",
        help="a name in clients' URLs besides the address' own; may be given again",
    )
    http.add_argument(
        "--allowed-origin",
        action="append",
        dest="allowed_origins",
        metavar="ORIGIN",
        help="an origin whose web pages may call; may be given again",
    )
    http.add_argument(
        "--token-file",
        metavar="FILE",
        help="who may call: a line each, TOKEN or NAME: TOKEN; read again when it changes",
    )
    http.add_argument(
        "--keys-file",
        metavar="FILE",
        help="keys that replicas share, a line each: the first seals, all of them open",
    )
    http.add_argument("--no-auth", action="store_true", default=None, help="ask for no token; on loopback only")
    made = parser.add_argument_group("make a secret, and end")
    made.add_argument("--new-token", metavar="FILE", help="add a fresh token to FILE, which is made if need be")
    made.add_argument("--new-key", metavar="FILE", help="the same for a key")


def run(arguments: argparse.Namespace) -> int:
    """Serve till standard input is closed, or over HTTP till the process is told to end."""
    given = {name: value for name in _HTTP_ONLY if (value := getattr(arguments, name, None)) is not None}
    try:
        if getattr(arguments, "new_token", None) or getattr(arguments, "new_key", None):
            _make_secrets(arguments)
            return 0
        if getattr(arguments, "http", False):
            return _serve_http(arguments, given)
    except MageError as error:
        print(f"mage-mcp: {error}", file=sys.stderr)
        return 2
    if given:
        options = ", ".join(f"--{name.removesuffix('s').replace('_', '-')}" for name in given)
        print(f"mage-mcp: {options} is for HTTP only. Add --http to serve that.", file=sys.stderr)
        return 2
    settings = settings_from(arguments)
    if settings is None:
        return 2
    if sys.stdin.isatty():
        _greet_a_person()
    _build(settings, finish_on_sigterm=True).run()
    return 0


def _greet_a_person() -> None:
    """Who types the command sees nothing happen, and the SDK's thread that reads what they type outlasts Ctrl-C."""
    print(
        "mage-mcp speaks MCP here and waits for a client to do so too; Ctrl-C ends it.\n"
        "`mage-mcp demo` shows what it is for, `mage-mcp client --help` sets up a client, `mage-mcp --help` says all.",
        file=sys.stderr,
    )
    signal.signal(signal.SIGINT, lambda *_: os.kill(os.getpid(), signal.SIGTERM))


def _build(settings: Settings, *, finish_on_sigterm: bool = False, keys: tuple[bytes, ...] = ()) -> "MageServer":
    gc.disable()  # all that is made here stays; looking for garbage in it would take a fifteenth of the time to start
    try:
        from mage_mcp.server import build_server

        if settings.demo:
            from mage_mcp.commands._demo import in_demo

            demo, wire, clock = in_demo(settings)
            return build_server(demo, wire=wire, clock=clock, keys=keys)
        return build_server(settings, finish_on_sigterm=finish_on_sigterm, keys=keys)
    finally:
        gc.freeze()
        gc.enable()


def _serve_http(arguments: argparse.Namespace, given: dict[str, object]) -> int:
    from mage_mcp.http.serving import Where, open_door, serve_http
    from mage_mcp.log_handler import set_up_logging

    lists = {name: tuple(value) for name, value in given.items() if isinstance(value, list)}
    settings = settings_from(arguments)
    if settings is None:
        return 2
    set_up_logging(settings.log_level)  # before the files are read, which may be worth a word
    door = open_door(Where(**{**given, **lists}))  # type: ignore[arg-type]
    try:
        serve_http(_build(settings, keys=door.keys), door)
    except KeyboardInterrupt:
        return 130
    return 0


def _make_secrets(arguments: argparse.Namespace) -> None:
    """Never shows them: what is printed is kept by shells and terminals."""
    from mage_mcp.http.secret_files import add_line, new_key, new_token

    if file := arguments.new_token:
        add_line(Path(file), new_token())
        print(f"{file} has a new token. Serve with: mage-mcp serve --http --token-file {file}")
        print("Clients send it as the header Authorization: Bearer TOKEN. A name before it (NAME: TOKEN) is audited.")
    if file := arguments.new_key:
        add_line(Path(file), new_key())
        print(f"{file} has a new key. Give the same file to each replica: --keys-file {file}")

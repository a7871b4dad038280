"""Serve over HTTP till the process is told to end; what has begun by then is finished."""

import logging
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from mcp.server.transport_security import TransportSecuritySettings
from sse_starlette.sse import AppStatus
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from mage_mcp.errors import MageNotConfigured
from mage_mcp.http.gate import HEALTH, Gate
from mage_mcp.http.keys import read_keys
from mage_mcp.http.names import allowed, checked_origin, is_loopback
from mage_mcp.http.tokens import MAKE_ONE, Tokens
from mage_mcp.server import MageServer

log = logging.getLogger(__name__)

LARGEST_BODY = 4 * 1024 * 1024
FINISH_WITHIN_S = 60
"""What calls may still take once the process is told to end: as long as the longest of them."""


@dataclass(frozen=True)
class Where:
    """Where to listen, and whom to; checked by `open_door` before anything is bound."""

    host: str = "127.0.0.1"
    port: int = 8080
    path: str = "/mcp"
    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    token_file: str = ""
    keys_file: str = ""
    no_auth: bool = False


@dataclass(frozen=True)
class Door:
    """`Where`, found to be in order: names, tokens (None: nobody is asked for one) and keys."""

    where: Where
    names: TransportSecuritySettings
    tokens: Tokens | None
    keys: tuple[bytes, ...]


def open_door(where: Where) -> Door:
    """Check the options and read the files. Raises MageNotConfigured."""
    if not where.path.startswith("/") or where.path == HEALTH:
        raise MageNotConfigured(
            f"--path {where.path!r} cannot be served.", next_step=f"It begins with / and is not {HEALTH}."
        )
    if where.no_auth and where.token_file:
        raise MageNotConfigured("--no-auth and --token-file contradict each other.", next_step="Leave out one of them.")
    if where.no_auth and not is_loopback(where.host):
        raise MageNotConfigured(
            f"--no-auth is refused on {where.host}: whoever reaches the port could do all that the server can.",
            next_step=f"Give a --token-file. {MAKE_ONE}",
        )
    if not where.no_auth and not where.token_file:
        raise MageNotConfigured(
            "Over HTTP every caller needs a token, and no --token-file was given.",
            next_step=f"{MAKE_ONE}, then serve with --token-file FILE; or, on this machine only, with --no-auth.",
        )
    names = allowed(where.host, where.allowed_hosts, where.allowed_origins)
    tokens = Tokens(Path(where.token_file)) if where.token_file else None
    keys = read_keys(Path(where.keys_file)) if where.keys_file else ()
    return Door(where, names, tokens, keys)


def serve_http(server: MageServer, door: Door) -> None:
    """Serve till SIGTERM or SIGINT, of which the process then dies.

    One line on standard output says where, as soon as requests are answered. Raises MageNotConfigured if the address
    cannot be bound.
    """
    where = door.where
    listener = _bound(where.host, where.port)
    if door.tokens is None:
        log.warning("Nobody is asked for a token. Everybody on this machine can do what the server can.")
    if not door.keys:
        log.warning("Without --keys-file run one process only: no other opens what this one has sealed.")
    port = listener.getsockname()[1]
    host = f"[{where.host}]" if ":" in where.host else where.host
    config = uvicorn.Config(
        create_app(server, door),
        access_log=False,
        date_header=False,
        lifespan="on",
        log_config=None,  # the one handler that we have redacts
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=FINISH_WITHIN_S,
        ws="none",
    )
    # Told to end, it would cut off the answers of calls under way; without sessions each stream ends with its call.
    AppStatus.disable_automatic_graceful_drain()  # type: ignore[no-untyped-call]
    _Server(config, server, f"http://{host}:{port}{where.path}").run(sockets=[listener])


def create_app(server: MageServer, door: Door) -> ASGIApp:
    """The application: no sessions, so that any replica answers any request."""
    where = door.where
    app: ASGIApp = server.streamable_http_app(
        streamable_http_path=where.path,
        stateless_http=True,
        transport_security=door.names,
        max_request_body_size=LARGEST_BODY,
        host=where.host,
    )
    app = Gate(app, names=door.names, tokens=door.tokens)
    if where.allowed_origins:
        # A browser asks beforehand, without the token, and reads an answer only if told that it may.
        app = CORSMiddleware(
            app,
            allow_origins=[checked_origin(origin) for origin in where.allowed_origins],
            allow_methods=["POST"],
            allow_headers=["*"],
            expose_headers=["WWW-Authenticate"],
        )
    return app


class _Server(uvicorn.Server):
    """Says where it serves, and lets go of those who only listen before it waits for those who work."""

    def __init__(self, config: uvicorn.Config, server: MageServer, url: str) -> None:
        super().__init__(config)
        self._server, self._url = server, url

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            sys.stdout.write(f"{self._url}\n")
            sys.stdout.flush()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        app = self._server.app
        if app is not None and app.watcher is not None:
            app.watcher.close()
        if app is not None and any(mage.busy for mage in app.mages.values()):
            log.warning("A restart is half done: the server ends once the cluster was started again.")
        await super().shutdown(sockets)


def _bound(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        bound = socket.create_server((host, port), family=family)
    except OSError as error:
        raise MageNotConfigured(
            f"{host} port {port} cannot be listened on ({error.strerror}).",
            next_step="Choose another --host or --port; port 0 takes a free one.",
        ) from None
    # With the protocol named, asyncio sets TCP_NODELAY on what it accepts; without, each answer waits 40 ms for an ACK.
    return socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, fileno=bound.detach())

"""The simulated Mage as a process of its own, on loopback, with a clock to set and its state to read and to change."""

import socket
import sys

from starlette.applications import Starlette

from mage_mcp.demo.cloud import CloudWorld
from mage_mcp.demo.cloud_app import create_cloud_app
from mage_mcp.demo.control import control_routes

HOST = "127.0.0.1"


def serve(port: int, *, login: tuple[str, str] | None = None) -> None:
    """Serve a fresh world till the process is stopped; port 0 takes a free one.

    One line on standard output says where, as soon as connections are accepted: there `prod` answers. The Cloud and
    both clusters stand below it, as `cloud_app.py` says.
    """
    import uvicorn

    # With the protocol named, asyncio sets TCP_NODELAY on what it accepts; without, each answer waits 40 ms for an ACK.
    bound = socket.create_server((HOST, port)).detach()
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, fileno=bound)
    sys.stdout.write(f"http://{HOST}:{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    config = uvicorn.Config(
        create_served_app(CloudWorld(login=login)), log_level="warning", access_log=False, lifespan="off"
    )
    uvicorn.Server(config).run(sockets=[listener])


def create_served_app(cloud: CloudWorld) -> Starlette:
    """The application with routes of its own, for tests that cannot reach into the process."""
    app = create_cloud_app(cloud)
    app.router.routes[:0] = control_routes(cloud)
    return app

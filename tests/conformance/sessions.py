"""The real server object over HTTP with sessions, for the scenarios that are about these; prints its URL."""

import socket

import uvicorn

from mage_mcp.commands._demo import in_demo
from mage_mcp.server import build_server
from mage_mcp.settings import Settings

if __name__ == "__main__":
    settings, wire, clock = in_demo(Settings())
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{listener.getsockname()[1]}/mcp", flush=True)
    app = build_server(settings, wire=wire, clock=clock).streamable_http_app(host="127.0.0.1")
    uvicorn.Server(uvicorn.Config(app, log_config=None)).run(sockets=[listener])

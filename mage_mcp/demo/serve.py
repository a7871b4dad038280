"""The simulated Mage as a process of its own, on loopback, with a clock to set and its state to read."""

import socket
import sys
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from mage_mcp.demo.app import create_app
from mage_mcp.demo.world import World

HOST = "127.0.0.1"


def serve(port: int, *, login: tuple[str, str] | None = None) -> None:
    """Serve a fresh world till the process is stopped; port 0 takes a free one.

    One line on standard output says where, as soon as connections are accepted.
    """
    import uvicorn

    listener = socket.create_server((HOST, port))
    sys.stdout.write(f"http://{HOST}:{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    config = uvicorn.Config(
        create_served_app(World(login=login)), log_level="warning", access_log=False, lifespan="off"
    )
    uvicorn.Server(config).run(sockets=[listener])


def create_served_app(world: World) -> Starlette:
    """The application with two more routes, for tests that cannot reach into the process."""

    async def state(_: Request) -> JSONResponse:
        return JSONResponse(_state(world))

    async def advance(request: Request) -> JSONResponse:
        world.clock.advance(float((await request.json())["advance_s"]))
        return JSONResponse({"clock": world.now.isoformat()})

    app = create_app(world)
    app.router.routes[:0] = [Route("/_demo/state", state), Route("/_demo/clock", advance, methods=["POST"])]
    return app


def _state(world: World) -> dict[str, Any]:
    now = world.now
    runs = [
        {
            "id": run.id,
            "pipeline_uuid": run.pipeline.uuid,
            "pipeline_schedule_id": run.trigger_id,
            "status": run.status(now),
            "variables": run.variables,
            "event_variables": run.event_variables,
        }
        for run in world.runs.values()
    ]
    triggers = [
        {"id": row.id, "name": row.name, "pipeline_uuid": row.pipeline_uuid, "status": row.status}
        for row in world.triggers.values()
    ]
    return {"clock": now.isoformat(), "runs": runs, "triggers": triggers, "requests": world.requests}

"""The routes below `/_demo`, which no Mage has: for tests that cannot reach into the process of the simulation."""

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from mage_mcp.demo.cloud import CloudCluster, CloudWorld, Fault
from mage_mcp.demo.cloud_edits import Edit
from mage_mcp.demo.world import World

Body = dict[str, Any]


def control_routes(cloud: CloudWorld) -> list[Route]:
    """`GET state`; `POST clock`, `edit`, `hook`, `slow`, `switch`, `fault` with a JSON object."""
    posted: dict[str, Callable[[CloudWorld, Body], Body]] = {
        "clock": _clock,
        "edit": _edit,
        "hook": _hook,
        "slow": _slow,
        "switch": _switch,
        "fault": _fault,
    }

    async def state(_: Request) -> JSONResponse:
        return JSONResponse(_state(cloud))

    def route(name: str, act: Callable[[CloudWorld, Body], Body]) -> Route:
        async def answer(request: Request) -> JSONResponse:
            return JSONResponse(act(cloud, await request.json()))

        return Route(f"/_demo/{name}", answer, methods=["POST"])

    return [Route("/_demo/state", state), *(route(name, act) for name, act in posted.items())]


def _clock(cloud: CloudWorld, body: Body) -> Body:
    """`advance_s`."""
    cloud.clock.advance(float(body["advance_s"]))
    return {"clock": cloud.now.isoformat()}


def _edit(cloud: CloudWorld, body: Body) -> Body:
    """`cluster` (`prod` or `staging`) and the parts of an `Edit`."""
    cluster = cloud.clusters[body.pop("cluster")]
    Edit(**body)(cluster)
    return _cluster(cluster)


def _hook(cloud: CloudWorld, body: Body) -> Body:
    """`when` (`before_put`, `after_put`, `after_get`), `cluster` or none for any, and the parts of an `Edit`."""
    cluster, when = body.pop("cluster", ""), body.pop("when")
    cloud.hook(when, Edit(**body), cluster)
    return {"when": when, "cluster": cluster}


def _slow(cloud: CloudWorld, body: Body) -> Body:
    """Any of `Delays`, for changes from now on."""
    cloud.delays = replace(cloud.delays, **body)
    return asdict(cloud.delays)


def _switch(cloud: CloudWorld, body: Body) -> Body:
    """Any of `Switches`; `expire_sessions: true`; `mage_login`, whether the clusters' own APIs ask for a login."""
    if body.pop("expire_sessions", False):
        cloud.expire_sessions()
        for cluster in cloud.clusters.values():
            cluster.world.expire_sessions()
    if (asks := body.pop("mage_login", None)) is not None:
        cloud.ask_for_login() if asks else cloud.ask_for_login(None)
    cloud.switches = replace(cloud.switches, **body)
    return asdict(cloud.switches)


def _fault(cloud: CloudWorld, body: Body) -> Body:
    """A `Fault` for the next request of that method."""
    cloud.faults.append(Fault(**body))
    return {"waiting": len(cloud.faults)}


def _state(cloud: CloudWorld) -> Body:
    """`prod`'s Mage at the top, the Cloud under `cloud`, and under `secrets` what must never be shown."""
    prod = cloud.clusters["prod"].world
    return {
        "clock": cloud.now.isoformat(),
        **_project(prod),
        "requests": prod.requests,
        "cloud": {
            "clusters": {key: _cluster(cluster) for key, cluster in cloud.clusters.items()},
            "puts": cloud.puts,
            "requests": cloud.requests,
            "sessions": len(cloud.sessions),
        },
        "secrets": cloud.secrets(),
    }


def _cluster(cluster: CloudCluster) -> Body:
    return {
        "id": cluster.id,
        "name": cluster.name,
        "status": cluster.status,
        "is_up": cluster.is_up,
        "config": cluster.config,
        **_project(cluster.world),
    }


def _project(world: World) -> Body:
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
    return {"runs": runs, "triggers": triggers}

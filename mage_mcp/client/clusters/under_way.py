"""What runs on a cluster, in sentences on what stopping it would interrupt."""

from collections.abc import Sequence

import anyio

from mage_mcp.client.clusters.cloud import Cloud, CloudState
from mage_mcp.client.paths import api
from mage_mcp.client.records import RunRecord
from mage_mcp.client.replies import count, rows
from mage_mcp.client.transport import Params, Transport
from mage_mcp.errors import MageError, MageUnreachable
from mage_mcp.text import quoted

_RUNS_WITHIN_S = 15.0
_MOST_RUNS = 10
_RUNNING: Params = {
    "status": "running",
    "order_by[]": "id desc",
    "disable_retries_grouping": True,
    "_limit": _MOST_RUNS,
}


async def runs_under_way(transport: Transport, cloud: Cloud, state: CloudState) -> list[str]:
    """The ten latest runs, sorted, and how many more.

    Stable while the same runs are under way; where they cannot be looked up, that is what is said. A cluster that
    starts or restarts and does not answer runs nothing that this has not interrupted already.
    """
    if state.is_off:
        return []
    if not transport.peer.url:
        return [f"interrupt whatever runs: {transport.peer.setting} is not set, so runs were not looked up"]
    found: Sequence[RunRecord] | None = None
    total = 0
    with anyio.move_on_after(_RUNS_WITHIN_S):
        try:
            reply = await transport.read(api("pipeline_runs"), **_RUNNING)
            found = [RunRecord.model_validate(row) for row in rows(reply, "pipeline_runs")]
            total = count(reply, fallback=len(found))
        except MageUnreachable:
            if await _is_coming_up(cloud, state):
                return []
        except MageError:
            pass
    if found is None:
        return ["interrupt whatever runs: its own API does not tell which, so runs could not be looked up"]
    latest = sorted((run.id, run.pipeline_uuid) for run in found)
    acts = [f"interrupt run {run} of {quoted(pipeline)}" for run, pipeline in latest]
    return [*acts, f"interrupt {total - len(latest)} older runs"] if total > len(latest) else acts


async def _is_coming_up(cloud: Cloud, state: CloudState) -> bool:
    """It starts or restarts, or has begun to since it was looked at."""
    if state.is_active:
        try:
            state = await cloud.state()
        except MageError:
            return False
    return state.is_coming_up

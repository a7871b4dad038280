"""What there is, by name: for completion and for lists of resources. Rough, quick, and never an error."""

from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress

import anyio

from mage_mcp.client.paths import api, block_uuid, pipeline_uuid
from mage_mcp.client.records import PipelineRecord
from mage_mcp.client.replies import root, rows
from mage_mcp.client.transport import Params, Transport
from mage_mcp.errors import MageError, MageInvalid
from mage_mcp.text import remember_name, show

FOR_S = 5.0
"""How long names are remembered: for a person typing, not for a call."""
WITHIN_S = 2.0
_MOST_PIPELINES = 1_000
_MOST_RUNS = 500
_MOST_KEPT = 100


class Names:
    """One cluster's names, each kind by one request, remembered for seconds.

    A Mage that is down, slow, or says no has no names; that too is remembered. Names that no call would take are left
    out.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._kept: dict[tuple[str, str], tuple[float, list[str]]] = {}

    async def pipelines(self) -> list[str]:
        """Uuids of pipelines, sorted; of the first thousand where there are more."""
        return await self._recent("pipelines", "", self._pipelines)

    async def blocks(self, pipeline: str) -> list[str]:
        """Uuids of a pipeline's blocks in its own order, then of its conditionals and callbacks."""
        return await self._recent("blocks", pipeline, lambda: self._blocks(pipeline))

    async def runs(self, pipeline: str = "") -> list[str]:
        """Ids of the latest runs, newest first."""
        return await self._recent("runs", pipeline, lambda: self._runs(pipeline))

    async def _recent(self, kind: str, of: str, ask: Callable[[], Awaitable[list[str]]]) -> list[str]:
        key, clock = (kind, of), self._transport.clock
        kept = self._kept.pop(key, None)
        if kept is None or clock.now() - kept[0] >= FOR_S:
            kept = clock.now(), []
            with anyio.move_on_after(WITHIN_S):
                with suppress(MageError):
                    kept = clock.now(), await ask()
        self._kept[key] = kept
        while len(self._kept) > _MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        return kept[1]

    async def _pipelines(self) -> list[str]:
        """Source: Mage PipelineResource.collection."""
        found = rows(await self._transport.read(api("pipelines"), _limit=_MOST_PIPELINES), "pipelines")
        uuids = [uuid for row in found if isinstance(uuid := row.get("uuid"), str)]
        for uuid in uuids:
            remember_name(uuid)
        return sorted(_usable(uuids, pipeline_uuid))

    async def _blocks(self, pipeline: str) -> list[str]:
        """Source: Mage PipelineResource.member."""
        path = api("pipelines", pipeline_uuid(pipeline))
        reply = await self._transport.read(path, includes_content=False, includes_outputs=False)
        record = PipelineRecord.model_validate(root(reply, "pipeline"))
        every = (*record.blocks, *record.conditionals, *record.callbacks)
        return _usable((block.uuid for block in every), block_uuid)

    async def _runs(self, pipeline: str) -> list[str]:
        """Source: Mage PipelineRunPresenter, whose basic details are a hundredth of a row's size."""
        params: Params = {"order_by[]": "id desc", "disable_retries_grouping": True, "_format": "with_basic_details"}
        if pipeline:
            params["pipeline_uuid"] = pipeline_uuid(pipeline)
        reply = await self._transport.read(api("pipeline_runs"), **params, _limit=_MOST_RUNS)
        return [str(row["id"]) for row in rows(reply, "pipeline_runs") if isinstance(row.get("id"), int)]


def _usable(names: Iterable[str], check: Callable[[str], str]) -> list[str]:
    """Those that are shown as they are and accepted as they are shown."""
    kept = []
    for name in names:
        try:
            if show(check(name)) == name:
                kept.append(name)
        except MageInvalid:
            continue
    return kept

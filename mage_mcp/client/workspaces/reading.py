"""Looking at workspaces."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from mage_mcp.client.near import did_you_mean
from mage_mcp.client.paths import api
from mage_mcp.client.replies import root, rows
from mage_mcp.client.transport import Transport
from mage_mcp.client.workspaces.checks import workspace_name
from mage_mcp.client.workspaces.container import env_names, parsed
from mage_mcp.client.workspaces.models import WorkspacePage, WorkspaceRow
from mage_mcp.client.workspaces.place import Management, Place
from mage_mcp.errors import MageError, MageFailed, MageNotFound
from mage_mcp.text import one_line

_READ_BACK_S = 6.0
_NO_KUBERNETES = "No module named 'kubernetes'"
_INELIGIBLE = "ineligible for workspace management"


Records = list[dict[str, Any]]


class WorkspaceReader:
    """The workspaces of one main project, as far as they are only looked at."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._management = Management(transport)

    async def aclose(self) -> None:
        await self._management.aclose()

    async def list(self, *, search: str = "", limit: int = 20, offset: int = 0) -> WorkspacePage:
        """Those that run or are stopped, by name. Mage lists none whose workload is gone.

        Raises MageUnsupported where this Mage has none. Source: Mage WorkspaceResource.collection.
        """
        place = await self._management.place()
        found = sorted(map(_row, await self._rows(place)), key=lambda row: row.workspace)
        found = [row for row in found if search.casefold() in row.workspace.casefold()]
        note = "" if found else f"No workspace's name contains {search!r}." if search else "There are none yet."
        return WorkspacePage.fitted(
            found[offset : offset + limit],
            total=len(found),
            limit=limit,
            offset=offset,
            note=note,
            managed_at=place.url,
        )

    async def _rows(self, place: Place) -> Records:
        try:
            return rows(await place.transport.read(f"{api('workspaces')}{place.query}"), "workspaces")
        except MageFailed as error:
            if _NO_KUBERNETES in error.exception or _INELIGIBLE in error.exception:
                raise self._management.there_are_none("Mage says that it manages none") from None
            raise

    async def _record(self, place: Place, name: str) -> dict[str, Any]:
        workspace_name(name)
        try:
            reply = await place.transport.read(f"{api('workspaces', name)}{place.query}")
        except MageNotFound:
            known = [name_of(row) for row in await self._rows(place)]
            raise MageNotFound(
                f"No workspace {one_line(name, 60)!r}.", next_step=did_you_mean(name, known, where="among them")
            ) from None
        record: dict[str, Any] = root(reply, "workspace")
        return record

    async def _await_status(self, place: Place, name: str, *, until: Callable[[str], bool]) -> str:
        """Its status once that is as wanted, or after seconds; nothing where it is not listed, or cannot be read."""
        clock = place.transport.clock
        began, status = clock.now(), ""
        while True:
            with suppress(MageError):
                found = {name_of(row): status_of(row) for row in await self._rows(place)}
                status = found.get(name, "")
            if until(status) or clock.now() - began >= _READ_BACK_S:
                return status
            await clock.sleep(1.0)


def _row(record: Mapping[str, Any]) -> WorkspaceRow:
    config: dict[str, Any] = {}
    with suppress(MageError):
        config = parsed(record.get("container_config"))
    lifecycle = record.get("lifecycle_config")
    policy = lifecycle.get("termination_policy") if isinstance(lifecycle, dict) else None
    ends = isinstance(policy, dict) and policy.get("enable_auto_termination") is True
    idle = policy.get("max_idle_seconds") if isinstance(policy, dict) and ends else None
    return WorkspaceRow(
        workspace=name_of(record),
        status=status_of(record),
        type=_text(record.get("cluster_type")),
        url=_text(record.get("url")),
        namespace=_text(record.get("namespace")),
        image_tag=_text(config.get("image_tag")),
        env_vars=env_names(config),
        auto_termination_s=idle if isinstance(idle, int) else None,
    )


def name_of(record: Mapping[str, Any]) -> str:
    return _text(record.get("name"))


def status_of(record: Mapping[str, Any]) -> str:
    instance = record.get("instance")
    return _text(instance.get("status")) if isinstance(instance, dict) else ""


def _text(value: Any) -> str:
    return one_line(value, 200) if isinstance(value, str) else ""

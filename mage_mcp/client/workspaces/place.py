"""Where workspaces are managed: at the main project, which is not always the one that is configured."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from mage_mcp.client.paths import api
from mage_mcp.client.replies import rows
from mage_mcp.client.transport import Transport
from mage_mcp.errors import MageError, MageUnsupported

_MAIN, _SUB = "main", "sub"
_KUBERNETES = "k8s"


@dataclass(frozen=True)
class Place:
    """Who answers for workspaces. `query` is what Mage wants in the address where it is no main project."""

    transport: Transport
    query: str = ""
    url: str = ""
    """Of the main project, where that is another one than the configured."""


class Management:
    """Finds the place once; a cluster that has none says so without being asked again."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._main: Transport | None = None
        self._place: Place | None = None
        self._none: str = ""

    async def aclose(self) -> None:
        if self._main is not None:
            await self._main.aclose()

    def there_are_none(self, why: str) -> MageUnsupported:
        """The refusal, remembered: an edition does not change while the server runs."""
        self._none = f"{self._transport.cluster.label} has no workspaces: {why}."
        return self._refusal()

    async def place(self) -> Place:
        """Where to send what is about workspaces.

        Raises MageUnsupported where nobody manages any. Source: Mage StatusResource (`project_type`), and the layout of
        Mage Pro, where a workspace's address is that of its main project with the workspace's name behind it.
        """
        if self._none:
            raise self._refusal()
        if self._place is None:
            self._place = await self._found()
        return self._place

    def _refusal(self) -> MageUnsupported:
        return MageUnsupported(self._none, next_step="They belong to Mage Pro; configure the main project's URL.")

    async def _found(self) -> Place:
        status = await _status(self._transport)
        kind = status.get("project_type")
        if kind == _MAIN:
            return Place(self._transport)
        if status.get("is_instance_manager") is True:
            return Place(self._transport, query=f"?cluster_type={_KUBERNETES}")
        if kind != _SUB:
            raise self.there_are_none("it is a project of its own")
        url = _above(self._transport.cluster.url)
        if not url:
            raise self.there_are_none("it is one itself, and its address does not tell where it is managed")
        main = self._transport.at(url)
        try:
            is_main = (await _status(main)).get("project_type") == _MAIN
        except MageError:
            await main.aclose()
            raise
        if not is_main:
            await main.aclose()
            raise self.there_are_none("it is one itself, and what stands above it is no main project")
        self._main = main
        return Place(main, url=url)


async def _status(transport: Transport) -> dict[str, Any]:
    found = rows(await transport.read(api("status")), "statuses")
    return found[0] if found else {}


def _above(url: str) -> str:
    """The address without its last part; nothing where it has none."""
    parts = urlsplit(url)
    path = parts.path.rstrip("/")
    return f"{parts.scheme}://{parts.netloc}{path.rpartition('/')[0]}" if path else ""

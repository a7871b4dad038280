"""What one prompt was asked for, and what its facts find out together."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

import anyio
from mcp import MCPError
from mcp.types import INVALID_PARAMS

from mage_mcp.client import Mage
from mage_mcp.client.near import did_you_mean
from mage_mcp.client.runs.reporting import RunReport
from mage_mcp.errors import MageError, MageInvalid, MageNotFound
from mage_mcp.settings import Settings
from mage_mcp.text import one_line, show
from mage_mcp.tools._deps import App

T = TypeVar("T")

_MOST_HOURS = 24 * 31
_ALL = frozenset({"", "all", "*"})


def wrong(sentence: str) -> MCPError:
    """What was asked for cannot be: the only errors whose text reaches a client on both protocol eras."""
    return MCPError(INVALID_PARAMS, show(sentence))


class Ask:
    """The arguments of one prompt, as given: empty ones are not among them. Lookups that facts share are made once."""

    def __init__(self, app: App, arguments: Mapping[str, str]) -> None:
        self._app = app
        self.arguments = arguments
        self.fell_back = False
        """The pipeline that is meant has no failed run, so the report is on its latest one."""
        self._known: dict[object, Any] = {}
        self._locks: defaultdict[object, anyio.Lock] = defaultdict(anyio.Lock)

    @property
    def settings(self) -> Settings:
        return self._app.settings

    def get(self, name: str) -> str:
        return self.arguments.get(name, "")

    async def once(self, key: object, find: Callable[[], Awaitable[T]]) -> T:
        """What `find` brings, or the MageError that it raised, for every fact that asks for it."""
        async with self._locks[key]:
            if key not in self._known:
                try:
                    self._known[key] = await find()
                except MageError as error:
                    self._known[key] = error
        found: T | MageError = self._known[key]
        if isinstance(found, MageError):
            raise found
        return found

    def mage(self, argument: str = "cluster") -> Mage:
        """The client of the cluster that an argument names; of the first where it names none."""
        name = self.get(argument)
        if not name:
            return next(iter(self._app.mages.values()))
        if name not in self._app.mages:
            near = did_you_mean(name, self._app.mages, where="configured")
            raise wrong(f"No cluster {one_line(name, 60)!r}. {near}")
        return self._app.mages[name]

    def mages(self) -> Sequence[Mage]:
        """The clients of the clusters that `clusters` names, all of them where it names none."""
        names = [name.strip() for name in self.get("clusters").split(",")]
        if all(name in _ALL for name in names):
            return list(self._app.mages.values())
        return [Ask(self._app, {"cluster": name}).mage() for name in dict.fromkeys(names) if name]

    def hours(self) -> int:
        given = self.get("hours") or "24"
        number = given.removesuffix("h").strip()
        if not number.isascii() or not number.isdigit() or not 1 <= int(number[:6]) <= _MOST_HOURS:
            raise wrong(f"hours is {one_line(given, 30)!r}. It takes a whole number from 1 to {_MOST_HOURS}.")
        return int(number)

    async def report(self) -> RunReport | None:
        """The run that is meant, explained: the one named, or the latest failed one, of the pipeline if one is named.

        None where nothing ever failed. Raises MCPError for a run or pipeline that does not exist.
        """
        try:
            return await self.once("report", self._find)
        except (MageInvalid, MageNotFound) as error:
            raise wrong(str(error)) from error

    async def _find(self) -> RunReport | None:
        runs, run, pipeline = self.mage().runs, self.get("run"), self.get("pipeline")
        if run and not pipeline and not run.isdigit() and "/" not in run:
            run, pipeline = "", run  # a host that fills arguments by their order gives a pipeline's name here
        if run:
            return await runs.report(run)
        if pipeline:
            try:
                return await runs.report(pipeline=pipeline, status="failed")
            except MageNotFound:
                self.fell_back = True
                return await runs.report(pipeline=pipeline)
        failed = (await runs.list(status="failed", limit=1)).items
        return await runs.report(str(failed[0].run)) if failed else None

"""A named group of tools; the one place where a tool's risk is declared, and all that follows from it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import Any, TypeVar, get_type_hints

from mcp.server.mcpserver.tools import Tool
from mcp.types import CallToolResult, ToolAnnotations

from mage_mcp.client.models import Answer
from mage_mcp.tools._answer import to_result
from mage_mcp.tools._guard import Planner, guarded
from mage_mcp.tools._schema import lean_schema, output_schema
from mage_mcp.tools._signature import CLUSTER, dressed

F = TypeVar("F", bound=Callable[..., Awaitable[Answer]])


class Risk(Enum):
    """What a call of a tool may cost, in words for the README and for `mage-mcp tools`."""

    READ = "reads"
    WRITE = "adds"
    CHANGE = "changes, and says what was before"
    DESTROY = "asks where something is lost"

    @property
    def hints(self) -> ToolAnnotations:
        """As MCP's annotations."""
        if self is Risk.READ:
            return ToolAnnotations(read_only_hint=True, open_world_hint=False)
        lossy = self is not Risk.WRITE
        return ToolAnnotations(read_only_hint=False, destructive_hint=lossy, open_world_hint=False)


RISKS: dict[str, Risk] = {}
"""Of every tool of the toolsets that were imported, by name."""


@dataclass(frozen=True)
class _Declared:
    """A tool as it was declared. What the SDK needs of it is made when it is first offered: that takes milliseconds."""

    fn: Callable[..., Awaitable[Answer]]
    title: str
    risk: Risk
    plan: Planner | None = None

    @cached_property
    def tool(self) -> Tool:
        reads = self.risk is Risk.READ
        fn = _answering(self.fn) if reads else guarded(self.fn, self.plan, title=self.title)
        answer = get_type_hints(self.fn)["return"]
        return _tool(fn, answer, title=self.title, risk=self.risk)


@dataclass
class Toolset:
    """Tools of one Mage noun. Decorate a function with `read`, `write`, `change` or `destroy`."""

    name: str
    _declared: list[_Declared] = field(default_factory=list)

    def read(self, title: str) -> Callable[[F], F]:
        """It only looks."""

        def keep(fn: F) -> F:
            self._declare(_Declared(fn, title, Risk.READ))
            return fn

        return keep

    def write(self, title: str, *, plan: Planner | None = None) -> Callable[[F], F]:
        """It adds something and takes nothing away. A person is asked on protected clusters, and where `plan` says so.

        The function returns a `Change`.
        """
        return self._changing(title, plan, Risk.WRITE)

    def change(self, title: str, *, plan: Planner | None = None) -> Callable[[F], F]:
        """It replaces something and can be taken back: the answer holds what was before.

        A person is asked on protected clusters, and where `plan` says so. What cannot be taken back in it is refused
        until an argument of its own asks for it. The function returns a `Change`.
        """
        return self._changing(title, plan, Risk.CHANGE)

    def destroy(self, title: str, *, plan: Planner) -> Callable[[F], F]:
        """It removes, interrupts or overwrites for good.

        `plan` takes some of the tool's arguments and says what would be lost. Where that is something, a person is
        asked before the tool's function runs. The function returns a `Change`.
        """
        return self._changing(title, plan, Risk.DESTROY)

    def _changing(self, title: str, plan: Planner | None, risk: Risk) -> Callable[[F], F]:
        def keep(fn: F) -> F:
            self._declare(_Declared(fn, title, risk, plan))
            return fn

        return keep

    def _declare(self, declared: _Declared) -> None:
        self._declared.append(declared)
        RISKS[declared.fn.__name__] = declared.risk

    def tools(self, *, read_only: bool) -> list[Tool]:
        """Those that only look, then, unless `read_only`, those that change something."""
        reads = [each.tool for each in self._declared if each.risk is Risk.READ]
        return reads if read_only else reads + [each.tool for each in self._declared if each.risk is not Risk.READ]

    def risks(self) -> dict[str, Risk]:
        """Of every tool, by name."""
        return {each.fn.__name__: each.risk for each in self._declared}


def _tool(fn: Callable[..., Awaitable[CallToolResult]], answer: type[Answer], *, title: str, risk: Risk) -> Tool:
    """Register with the SDK, and make both schemas lean. The server refuses unknown arguments, which the SDK drops."""
    tool = Tool.from_function(fn, title=title, annotations=risk.hints)
    tool.parameters = {**lean_schema(tool.parameters), "additionalProperties": False}
    tool.fn_metadata.output_schema = output_schema(answer)
    return tool


def _answering(fn: Callable[..., Awaitable[Answer]]) -> Callable[..., Awaitable[CallToolResult]]:
    """The function as the SDK sees it: the same arguments, the answer rendered."""

    async def call(**arguments: Any) -> CallToolResult:
        arguments.pop(CLUSTER, None)  # `mage` is its client
        return to_result(await fn(**arguments), mage=arguments.get("mage"))

    return dressed(call, fn, get_type_hints(fn, include_extras=True))

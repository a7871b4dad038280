"""A named group of tools; the one place where a tool's risk is declared, and all that follows from it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar, get_type_hints

from mcp.server.mcpserver.tools import Tool
from mcp.types import CallToolResult, ToolAnnotations
from pydantic import ConfigDict

from mage_mcp.client.models import Answer
from mage_mcp.tools._answer import to_result
from mage_mcp.tools._guard import Planner, guarded
from mage_mcp.tools._schema import lean_schema, with_common_fields
from mage_mcp.tools._signature import CLUSTER, dressed

F = TypeVar("F", bound=Callable[..., Awaitable[Answer]])
_READ = ToolAnnotations(read_only_hint=True, open_world_hint=False)
_WRITE = ToolAnnotations(read_only_hint=False, destructive_hint=False, open_world_hint=False)
_DESTROY = ToolAnnotations(read_only_hint=False, destructive_hint=True, open_world_hint=False)


@dataclass
class Toolset:
    """Tools of one Mage noun. Decorate a function with `read`, `write` or `destroy`."""

    name: str
    _reads: list[Tool] = field(default_factory=list)
    _writes: list[Tool] = field(default_factory=list)

    def read(self, title: str) -> Callable[[F], F]:
        """It only looks."""

        def keep(fn: F) -> F:
            self._reads.append(_tool(_answering(fn), title=title, risk=_READ))
            return fn

        return keep

    def write(self, title: str, *, plan: Planner | None = None) -> Callable[[F], F]:
        """It adds something and takes nothing away. A person is asked on protected clusters, and where `plan` says so.

        The function returns a `Change`.
        """

        def keep(fn: F) -> F:
            self._writes.append(_tool(guarded(fn, plan, title=title), title=title, risk=_WRITE))
            return fn

        return keep

    def destroy(self, title: str, *, plan: Planner) -> Callable[[F], F]:
        """It removes, interrupts or overwrites for good.

        `plan` takes some of the tool's arguments and says what would be lost. Where that is something, a person is
        asked before the tool's function runs. The function returns a `Change`.
        """

        def keep(fn: F) -> F:
            self._writes.append(_tool(guarded(fn, plan, title=title), title=title, risk=_DESTROY))
            return fn

        return keep

    def tools(self, *, read_only: bool) -> list[Tool]:
        return list(self._reads) if read_only else [*self._reads, *self._writes]


def _tool(fn: Callable[..., Awaitable[CallToolResult]], *, title: str, risk: ToolAnnotations) -> Tool:
    """Register with the SDK, refuse unknown arguments (it drops them), and make both schemas lean."""
    tool = Tool.from_function(fn, title=title, annotations=risk)
    arguments = tool.fn_metadata.arg_model
    arguments.model_config = ConfigDict(**{**arguments.model_config, "extra": "forbid"})
    arguments.model_rebuild(force=True)
    tool.parameters = {**lean_schema(tool.parameters), "additionalProperties": False}
    if tool.fn_metadata.output_schema is not None:
        tool.fn_metadata.output_schema = with_common_fields(lean_schema(tool.fn_metadata.output_schema))
    return tool


def _answering(fn: Callable[..., Awaitable[Answer]]) -> Callable[..., Awaitable[CallToolResult]]:
    """The function as the SDK sees it: the same arguments, the answer rendered."""

    async def call(**arguments: Any) -> CallToolResult:
        arguments.pop(CLUSTER, None)  # `mage` is its client
        return to_result(await fn(**arguments), mage=arguments.get("mage"))

    return dressed(call, fn, get_type_hints(fn, include_extras=True))

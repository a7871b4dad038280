"""A named group of tools; the one place where a tool's risk is declared, and all that follows from it."""

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar, get_type_hints

from mcp.server.mcpserver import Context, Elicit, Resolve
from mcp.server.mcpserver.tools import Tool
from mcp.types import CallToolResult, ToolAnnotations
from pydantic import ConfigDict, Field

from mage_mcp.client.models import Answer, Change
from mage_mcp.tools._answer import to_result
from mage_mcp.tools._confirm import Agreement, Consent, Plan, Verdict, ask, judge
from mage_mcp.tools._deps import App
from mage_mcp.tools._schema import lean_schema, with_untrusted

F = TypeVar("F", bound=Callable[..., Awaitable[Answer]])
Planner = Callable[..., Awaitable[Plan]]

_READ = ToolAnnotations(read_only_hint=True, open_world_hint=False)
_WRITE = ToolAnnotations(read_only_hint=False, destructive_hint=False, open_world_hint=False)
_DESTROY = ToolAnnotations(read_only_hint=False, destructive_hint=True, open_world_hint=False)

ConfirmCode = Annotated[str, Field(description="Code from this call's preview, if one was given.")]


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

    def write(self, title: str) -> Callable[[F], F]:
        """It adds something and takes nothing away."""

        def keep(fn: F) -> F:
            self._writes.append(_tool(_answering(fn), title=title, risk=_WRITE))
            return fn

        return keep

    def destroy(self, title: str, *, plan: Planner) -> Callable[[F], F]:
        """It removes, interrupts or overwrites for good.

        `plan` takes the same arguments as the tool and says what would be lost. Where that is something, a person is
        asked before the tool's function runs. The function returns a `Change`.
        """

        def keep(fn: F) -> F:
            self._writes.append(_tool(_confirmed(fn, plan), title=title, risk=_DESTROY))
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
        tool.fn_metadata.output_schema = with_untrusted(lean_schema(tool.fn_metadata.output_schema))
    return tool


def _answering(fn: Callable[..., Awaitable[Answer]]) -> Callable[..., Awaitable[CallToolResult]]:
    """The function as the SDK sees it: the same arguments, the answer rendered."""

    async def call(**arguments: Any) -> CallToolResult:
        return to_result(await fn(**arguments))

    return _dressed(call, fn, get_type_hints(fn, include_extras=True))


def _confirmed(fn: Callable[..., Awaitable[Answer]], plan: Planner) -> Callable[..., Awaitable[CallToolResult]]:
    """The function behind a question: planned first, asked about, looked at again, then run."""
    hints = get_type_hints(fn, include_extras=True)
    answer: type[Change] = hints["return"]
    plan_arguments = list(inspect.signature(plan).parameters)

    async def planned(**arguments: Any) -> Plan:
        return await plan(**arguments)

    plan_hints = {name: hints[name] for name in plan_arguments}
    _sign(planned, plan_hints | {"return": Plan})

    async def consented(planned: Annotated[Plan, Resolve(planned)], ctx: Context[App]) -> Agreement | Elicit[Agreement]:
        return ask(planned, ctx)

    # Each tool's question has a name of its own on the wire, stable across processes.
    consented.__qualname__ = planned.__qualname__ = f"{fn.__name__}.consent"

    async def call(
        planned: Plan, consent: Consent, ctx: Context[App], confirm: str, **arguments: Any
    ) -> CallToolResult:
        shown = {name: value for name, value in arguments.items() if isinstance(value, str | int | list | dict)}
        app = ctx.request_context.lifespan_context
        bound = {"tool": fn.__name__, "cluster": app.mage.name, "arguments": shown, "acts": planned.acts}
        verdict = judge(planned, consent, ctx, code=confirm, bound=bound)
        if verdict is Verdict.ACT:
            again = await plan(**{name: arguments[name] for name in plan_arguments})
            if set(again.acts) <= set(planned.acts):
                return to_result(await fn(**arguments))
            note = "Nothing was changed: meanwhile it would have done more than was agreed to. Call again to see what."
            return to_result(answer(changed=False, would=list(again.acts), note=note))
        if verdict is Verdict.PREVIEW:
            note = (
                "Nothing was changed yet. Show this to the person; if they agree, call again with the same arguments "
                "and this confirm code, within ten minutes."
            )
            code = app.seal.code(bound)
            return to_result(answer(changed=False, would=list(planned.acts), confirm=code, note=note))
        word = "declined" if verdict is Verdict.DECLINED else "dismissed the question"
        return to_result(
            answer(changed=False, note=f"The person {word}; nothing was changed. Do not try again unasked.")
        )

    extra = {
        "confirm": ConfirmCode,
        "planned": Annotated[Plan, Resolve(planned)],
        "consent": Annotated[Consent, Resolve(consented)],
        "ctx": Context[App],
    }
    return _dressed(call, fn, hints, extra=extra)


def _dressed(
    call: Callable[..., Awaitable[CallToolResult]],
    fn: Callable[..., Awaitable[Answer]],
    hints: dict[str, Any],
    *,
    extra: dict[str, Any] | None = None,
) -> Callable[..., Awaitable[CallToolResult]]:
    """Give `call` the name, docstring and arguments of `fn`, and the `extra` ones."""
    call.__name__, call.__qualname__, call.__doc__ = fn.__name__, fn.__qualname__, fn.__doc__
    defaults = {name: p.default for name, p in inspect.signature(fn).parameters.items()} | {"confirm": ""}
    annotations = {**hints, **(extra or {}), "return": Annotated[CallToolResult, hints["return"]]}
    _sign(call, annotations, defaults)
    return call


def _sign(fn: Callable[..., Any], annotations: dict[str, Any], defaults: dict[str, Any] | None = None) -> None:
    """Make both views that the SDK takes of a function, its signature and its annotations, say the same."""
    parameters = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            annotation=annotation,
            default=(defaults or {}).get(name, inspect.Parameter.empty),
        )
        for name, annotation in annotations.items()
        if name != "return"
    ]
    fn.__signature__ = inspect.Signature(parameters, return_annotation=annotations["return"])  # type: ignore[attr-defined]
    fn.__annotations__ = annotations

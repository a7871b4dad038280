"""What stands between a model and a change: a plan, a person's yes, a second look, and two audit lines."""

import inspect
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, get_type_hints

from mcp.server.mcpserver import Context, Elicit, Resolve
from mcp.types import CallToolResult

from mage_mcp.client import Mage as MageClient
from mage_mcp.client.models import Answer, Change
from mage_mcp.errors import MageError
from mage_mcp.tools._answer import to_result
from mage_mcp.tools._audit import masked_arguments
from mage_mcp.tools._confirm import Agreement, Consent, Plan, Verdict, ask, can_ask, judge, needs_nobody
from mage_mcp.tools._deps import App
from mage_mcp.tools._signature import CLUSTER, CONFIRM, ConfirmCode, dressed, sign

Planner = Callable[..., Awaitable[Plan]]


def guarded(
    fn: Callable[..., Awaitable[Answer]], plan: Planner | None, *, title: str
) -> Callable[..., Awaitable[CallToolResult]]:
    """The function as the SDK sees it: its arguments, a code to confirm with, and resolvers that plan and ask."""
    guard = _Guard(fn, plan, title)
    hints = guard.hints
    given = {name: hint for name, hint in hints.items() if name not in {"return", "progress"}}

    async def planned(ctx: Context[App], **arguments: Any) -> Plan:
        with guard.refusals_told(ctx, arguments):
            return await guard.look(arguments)

    sign(planned, given | {"ctx": Context[App], "return": Plan})

    async def consented(planned: Plan, ctx: Context[App], **arguments: Any) -> Agreement | Elicit[Agreement]:
        with guard.refusals_told(ctx, arguments):
            return guard.ask(planned, ctx, arguments)

    question = {"planned": Annotated[Plan, Resolve(planned)], "ctx": Context[App]}
    sign(consented, given | question | {"return": Agreement | Elicit[Agreement]})
    # Each tool's question has a name of its own on the wire, stable across processes.
    consented.__qualname__ = planned.__qualname__ = f"{fn.__name__}.consent"

    async def call(
        planned: Plan, consent: Consent, ctx: Context[App], confirm: str, **arguments: Any
    ) -> CallToolResult:
        arguments.pop(CLUSTER, None)  # `mage` is its client
        return await guard.run(planned, consent, ctx, confirm, arguments)

    extra = {CONFIRM: ConfirmCode, **question, "consent": Annotated[Consent, Resolve(consented)]}
    return dressed(call, fn, hints, extra=extra)


class _Guard:
    """One tool's own."""

    def __init__(self, fn: Callable[..., Awaitable[Answer]], plan: Planner | None, title: str) -> None:
        self._fn, self._plan, self._title = fn, plan, title
        self.hints = get_type_hints(fn, include_extras=True)
        self._answer: type[Change] = self.hints["return"]
        self._plan_arguments = list(inspect.signature(plan).parameters) if plan else []

    async def look(self, arguments: dict[str, Any]) -> Plan:
        """The plan; on a protected cluster whatever changes something is one."""
        mage: MageClient = arguments["mage"]
        if self._plan is not None:
            planned = await self._plan(**{name: arguments[name] for name in self._plan_arguments})
            if not planned.harmless:
                return planned
        if not mage.protected:
            return Plan()
        given = {k: v for k, v in _given(arguments).items() if v}
        shown = ", ".join(f"{k}={v!r}" for k, v in masked_arguments(given).items())
        return Plan(f"{self._title} on {mage.label}, which is protected?", (f"{self._fn.__name__}({shown})",))

    @contextmanager
    def refusals_told(self, ctx: Context[App], arguments: dict[str, Any]) -> Iterator[None]:
        """What is refused while it is planned or asked about gets its audit lines here."""
        try:
            yield
        except MageError as error:
            audit, cluster = ctx.request_context.lifespan_context.audit, arguments["mage"].name
            audit.refused(self._fn.__name__, cluster=cluster, arguments=_given(arguments), why=error)
            raise

    def ask(self, planned: Plan, ctx: Context[App], arguments: dict[str, Any]) -> Agreement | Elicit[Agreement]:
        mage: MageClient = arguments["mage"]
        return ask(planned, ctx, key=self._key(mage, arguments), protected=mage.protected)

    async def run(
        self, planned: Plan, consent: Consent, ctx: Context[App], code: str, arguments: dict[str, Any]
    ) -> CallToolResult:
        """Judge, act or not, and write both audit lines whatever happens."""
        app, mage, name = ctx.request_context.lifespan_context, arguments["mage"], self._fn.__name__
        given = _given(arguments)
        bound = {"tool": name, "cluster": mage.name, "arguments": _meant(given)}
        verdict = judge(
            planned,
            consent,
            ctx,
            code=code,
            bound={**bound, "acts": planned.acts},
            key=self._key(mage, arguments),
            protected=mage.protected,
        )
        line = app.audit.begin(name, cluster=mage.name, arguments=given)
        outcome = "failed"
        try:
            if verdict is Verdict.ACT and not needs_nobody(planned, ctx, protected=mage.protected):
                planned, verdict = await self._look_again(planned, ctx, arguments)
            if verdict is Verdict.ACT:
                result: Change = await self._fn(**arguments)  # type: ignore[assignment] # its annotation is `_answer`
            else:
                anew = app.seal.code({**bound, "acts": planned.acts})
                result = _not_done(self._answer, verdict, planned, given=code, anew=anew)
            outcome = "changed" if result.changed else f"unchanged: {verdict.name.lower()}"
        except MageError as error:
            outcome = f"refused: {error}"
            raise
        finally:
            app.audit.end(line, name, cluster=mage.name, outcome=outcome)
        return to_result(result, mage=mage)

    async def _look_again(self, planned: Plan, ctx: Context[App], arguments: dict[str, Any]) -> tuple[Plan, Verdict]:
        """Nothing is acted on that was not agreed to."""
        again = await self.look(arguments)
        if set(again.acts) <= set(planned.acts):
            return planned, Verdict.ACT
        return again, Verdict.GREW if can_ask(ctx) else Verdict.PREVIEW

    def _key(self, mage: MageClient, arguments: dict[str, Any]) -> str:
        return repr((self._fn.__name__, mage.name, sorted(_meant(_given(arguments)).items())))


def _meant(given: dict[str, Any]) -> dict[str, Any]:
    """Without what changes nothing of what is done: how long the call waits for it."""
    return {name: value for name, value in given.items() if name != "wait_s"}


def _not_done(answer: type[Change], verdict: Verdict, planned: Plan, *, given: str, anew: str) -> Change:
    """What a call that was not agreed to answers; `given` is the code it came with, `anew` one to come again with."""
    if verdict is Verdict.PREVIEW:
        note = (
            "Nothing was changed yet. Show this to the person; if they agree, call again with the same arguments "
            "and this confirm code, within ten minutes."
        )
        if given:
            note = f"The code was used, is too old, or was made for something else than would be done now. {note}"
        return answer(changed=False, would=list(planned.acts), confirm=anew, note=note)
    if verdict is Verdict.GREW:
        note = "Nothing was changed: meanwhile it would do more than was agreed to. Call again to have that asked."
        return answer(changed=False, would=list(planned.acts), note=note)
    if verdict is Verdict.CHANGING:
        note = "Nothing was changed: what it would do was another each time it was asked about. Look again first."
        return answer(changed=False, would=list(planned.acts), note=note)
    word = "declined" if verdict is Verdict.DECLINED else "dismissed the question"
    return answer(changed=False, note=f"The person {word}; nothing was changed. Do not try again unasked.")


def _given(arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments that the model gave, without what was injected."""
    return {k: v for k, v in arguments.items() if v is None or isinstance(v, str | int | float | list | dict)}

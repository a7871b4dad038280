"""What was found out: a line a check, as text or as JSON."""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import anyio

from mage_mcp import __version__
from mage_mcp.client.deadline import call_deadline
from mage_mcp.errors import MageError
from mage_mcp.text import show

State = Literal["ok", "warning", "failed", "not tried"]

SCHEMA = 1
_STATES: tuple[State, ...] = ("ok", "warning", "failed", "not tried")
_MARKS = {"ok": "[ok]  ", "warning": "[warn]", "failed": "[FAIL]", "not tried": "[--]  "}
_GRACE_S = 0.5
"""The client's own deadline is to come first: its sentence says more than ours."""


@dataclass(frozen=True)
class Value:
    """A setting that is no default."""

    name: str
    value: str
    source: str


@dataclass(frozen=True)
class Check:
    group: str
    name: str
    state: State
    says: str = ""
    do: str = ""


@dataclass(frozen=True)
class Finding:
    """What one step of a group found; what it raises is a failure."""

    says: str
    state: State = "ok"
    do: str = ""


@dataclass(frozen=True)
class Step:
    """One check, tried if none of `needs` failed or was not tried itself."""

    name: str
    act: Callable[[], Awaitable[Finding]]
    needs: tuple[str, ...] = ()
    within_s: float = 5.0


async def go_through(group: str, steps: Sequence[Step], *, within_s: float) -> list[Check]:
    """The steps in their order, each in its time and all within `within_s`. Raises no MageError: that is a finding."""
    ends = anyio.current_time() + within_s
    checks: list[Check] = []
    broken: dict[str, str] = {}
    for step in steps:
        blocked = next((name for name in step.needs if name in broken), "")
        left = ends - anyio.current_time()
        if blocked:
            checks.append(Check(group, step.name, "not tried", f"Not tried, since {broken[blocked]} failed."))
            broken[step.name] = broken[blocked]
            continue
        if left <= 0:
            checks.append(
                Check(group, step.name, "not tried", f"Not tried: the {within_s:.0f} s for all of this were over.")
            )
            broken[step.name] = step.name
            continue
        found = await _try(step, min(step.within_s, left))
        checks.append(Check(group, step.name, found.state, found.says, found.do))
        if found.state == "failed":
            broken[step.name] = step.name
    return checks


async def _try(step: Step, within_s: float) -> Finding:
    try:
        with anyio.fail_after(within_s + _GRACE_S), call_deadline(within_s):
            return await step.act()
    except TimeoutError:
        return Finding(f"No answer within {within_s:.0f} s.", "failed", "Check network, firewall and VPN; try again.")
    except MageError as error:
        return Finding(error.what, "failed", error.next_step)


@dataclass(frozen=True)
class Report:
    values: tuple[Value, ...]
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Nothing failed; warnings are allowed."""
        return all(check.state != "failed" for check in self.checks)

    @property
    def counts(self) -> dict[str, int]:
        counted = Counter(check.state for check in self.checks)
        return {state: counted[state] for state in _STATES}

    def as_json(self) -> dict[str, Any]:
        """The object that the package's docstring describes; every text is masked."""
        return {
            "schema": SCHEMA,
            "version": __version__,
            "ok": self.ok,
            "counts": self.counts,
            "settings": [
                {"name": show(value.name), "value": show(value.value), "source": show(value.source)}
                for value in self.values
            ],
            "checks": [_json(check) for check in self.checks],
        }

    def as_text(self) -> str:
        """For a person, without colour, and in ASCII save for what others named; every text is masked."""
        return show("\n".join(self._lines())) + "\n"

    def _lines(self) -> Iterator[str]:
        if self.values:
            yield "Settings"
            names, values = (
                max(len(text) for text in texts) for texts in zip(*map(_columns, self.values), strict=True)
            )
            for value in self.values:
                yield f"  {value.name:<{names}}  {value.value:<{min(values, 50)}}  from {value.source}"
        width = max((len(check.name) for check in self.checks), default=0)
        group = ""
        for check in self.checks:
            if check.group != group:
                group = check.group
                yield from ("", group) if self.values or check is not self.checks[0] else (group,)
            yield f"  {_MARKS[check.state]} {check.name:<{width}}  {check.says}".rstrip()
            if check.do:
                yield f"  {'':<{width + 7}}  -> {check.do}"
        yield ""
        yield ", ".join(_counted(state, count) for state, count in self.counts.items() if count) + "."


def _counted(state: str, count: int) -> str:
    return f"{count} {state}{'s' if state == 'warning' and count > 1 else ''}"


def _columns(value: Value) -> tuple[str, str]:
    return value.name, value.value


def _json(check: Check) -> dict[str, str]:
    told = {"group": check.group, "check": check.name, "state": check.state, "says": show(check.says)}
    return told | ({"do": show(check.do)} if check.do else {})

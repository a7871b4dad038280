"""Global variables of pipelines, and the names of secrets."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import anyio
from pydantic import Field

from mage_mcp.client.clusters.same import same_json
from mage_mcp.client.models import Answer, Change, Name, Names, Untrusted
from mage_mcp.client.paths import api
from mage_mcp.client.pipelines import Pipelines, shown_variables
from mage_mcp.client.replies import rows
from mage_mcp.client.secrets import remember_variables
from mage_mcp.client.transport import Transport
from mage_mcp.errors import MageError, MageInvalid, MageRefused, MageReplyInvalid, MageWriteUncertain
from mage_mcp.text import MASK, is_secret_name, one_line, quoted, show

_MOST_AT_ONCE = 50
_LONGEST_NAME = 100
_LONGEST = 50_000
_MOST_SECRETS = 300
_NOTHING_DONE = "nothing was changed"
_SHOWN = 20

Values = Annotated[dict[str, Any], Untrusted()]


class VariablesChange(Change):
    pipeline: Name = ""
    added: Names = []
    overwritten: Names = []
    removed: Names = []
    unchanged: Names = Field(default=[], description="Asked for, and so already.")
    before: Values = Field(default={}, description="What was overwritten or removed; secrets masked.")
    after: Values = Field(default={}, description="What was set, read back; secrets masked.")
    failed: Values = Field(default={}, description="What is not as asked for, and why.")
    others: Names = Field(default=[], description="Changed meanwhile by somebody else.")


class SecretNames(Answer):
    secrets: Names = Field(description="Names only.")
    total: int
    note: str = ""


@dataclass(frozen=True)
class _Diff:
    """What a call changes, by name: of what is there, only what is not so already."""

    set: Mapping[str, Any]
    unset: Sequence[str]
    before: Mapping[str, Any]
    unchanged: Sequence[str] = ()
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def lost(self) -> list[str]:
        """Names whose values are gone afterwards."""
        return sorted(name for name in (*self.set, *self.unset) if name in self.before)

    def names(self) -> list[str]:
        return [*self.set, *self.unset]

    def is_so(self, name: str, after: Mapping[str, Any]) -> bool:
        if name in self.set:
            return name in after and same_json(after[name], self.set[name])
        return name not in after


class Variables:
    """Set and remove a pipeline's variables; list secrets."""

    def __init__(self, transport: Transport, pipelines: Pipelines) -> None:
        self._transport = transport
        self._pipelines = pipelines

    async def plan(self, pipeline: str, *, set_: Mapping[str, Any], unset: Sequence[str]) -> VariablesChange:
        """What `update` would overwrite or remove for good. Raises as it does."""
        _check(set_, unset)
        remember_variables(dict(set_))
        diff = _diff((await self._pipelines.record(pipeline)).variables, set_, unset)
        return _answer(pipeline, diff, None).model_copy(update={"would": _acts(pipeline, diff)})

    async def update(
        self, pipeline: str, *, set_: Mapping[str, Any], unset: Sequence[str], dry_run: bool = False
    ) -> VariablesChange:
        """Set and remove variables, each by a request of its own, and read back what became of them.

        Values arrive as they are given: 7 is no "7". One that fails does not keep the others from being done. Raises
        MageInvalid (nothing was sent), MageNotFound, MageWriteUncertain. Source: Mage VariableResource.
        """
        _check(set_, unset)
        remember_variables(dict(set_))
        if dry_run:
            planned = await self.plan(pipeline, set_=set_, unset=unset)
            added = [f"add {quoted(name)}" for name in planned.added]
            return planned.model_copy(update={"would": [*added, *planned.would]})
        # Mage writes the whole pipeline with each: beside any other write to it, a variable is lost without a word.
        async with self._transport.serial("pipeline", pipeline):
            diff = _diff((await self._pipelines.record(pipeline)).variables, set_, unset)
            if not diff.names():
                return _answer(pipeline, diff, diff.before)
            with anyio.CancelScope(shield=True):
                await self._write(pipeline, diff)
                after = await self._read_back(pipeline)
        return _answer(pipeline, diff, after)

    async def _write(self, pipeline: str, diff: _Diff) -> None:
        path = api("pipelines", pipeline, "variables")
        for name, value in diff.set.items():
            await self._one(diff, name, "POST", path, {"variable": {"name": name, "value": value}})
        for name in diff.unset:
            await self._one(diff, name, "DELETE", api("pipelines", pipeline, "variables", name), {})

    async def _one(self, diff: _Diff, name: str, method: str, path: str, body: dict[str, Any]) -> None:
        try:
            await self._transport.write(method, path, body)
        except (MageRefused, MageWriteUncertain, MageReplyInvalid) as error:
            diff.failed[name] = error.what
        except MageError as error:  # it did not leave; nor would the rest
            if not diff.failed and name == diff.names()[0]:
                raise
            diff.failed[name] = f"Not sent: {error.what}"

    async def _read_back(self, pipeline: str) -> Mapping[str, Any]:
        try:
            return (await self._pipelines.record(pipeline)).variables
        except MageError as error:
            raise MageWriteUncertain(
                f"Variables of {quoted(pipeline)} were sent, but what became of them could not be read: {error.what}",
                next_step=f"Look with get_pipeline(pipeline={pipeline!r}) before you try again.",
            ) from error

    async def secrets(self) -> SecretNames:
        """The names of the project's secrets. Source: Mage SecretResource, which answers no values."""
        found = rows(await self._transport.read(api("secrets"), _limit=1000), "secrets")
        names = sorted({name for row in found if isinstance(name := row.get("name"), str)})
        note = (
            "Blocks read one with get_secret_value('NAME') from mage_ai.data_preparation.shared.secrets, YAML and SQL "
            "with {{ mage_secret_var('NAME') }}. Values are not shown, and are set by a person in Mage."
        )
        if not names:
            note = "This project has none. A person adds them in Mage."
        return SecretNames(secrets=names[:_MOST_SECRETS], total=len(names), note=note)


def _check(set_: Mapping[str, Any], unset: Sequence[str]) -> None:
    """Raises MageInvalid for what Mage refuses or loses; no value is ever in its text."""
    if not set_ and not unset:
        raise MageInvalid("No variable is named to set or to unset.", next_step="Give set or unset.")
    if len(set_) + len(unset) > _MOST_AT_ONCE:
        raise MageInvalid(f"Over {_MOST_AT_ONCE} variables at once; {_NOTHING_DONE}.", next_step="Give them in parts.")
    for name, value in set_.items():
        if not name.isidentifier() or len(name) > _LONGEST_NAME or show(name) != name:
            raise MageInvalid(
                f"{one_line(name.partition('=')[0], 40)!r} is no variable's name; {_NOTHING_DONE}.",
                next_step="Names are like Python's: letters, digits, underscores.",
            )
        if value is None:
            raise MageInvalid(
                f"Mage stores no null, so {quoted(name)} cannot be set to it; {_NOTHING_DONE}.",
                next_step="Remove it with unset, or give an empty text, list or object.",
            )
    if both := sorted(set(set_) & set(unset)):
        raise MageInvalid(
            f"{quoted(both[0])} is to be set and unset at once; {_NOTHING_DONE}.", next_step="Decide for one."
        )
    _check_values(set_)


def _check_values(set_: Mapping[str, Any]) -> None:
    try:
        text = json.dumps(set_, ensure_ascii=False, allow_nan=False)
        text.encode()
    except (TypeError, ValueError, RecursionError):
        raise MageInvalid(
            f"The values cannot be sent as JSON (half a character, NaN, or too deep); {_NOTHING_DONE}.",
            next_step="Give plain texts, numbers, lists and objects.",
        ) from None
    if MASK in text:
        raise MageInvalid(f"A value holds the mask {MASK}; {_NOTHING_DONE}.", next_step="Give the real value.")
    if len(text) > _LONGEST:
        raise MageInvalid(
            f"The values are over {_LONGEST} characters; {_NOTHING_DONE}.",
            next_step="Put the data where the pipeline can load it and set its place.",
        )


def _diff(before: Mapping[str, Any], set_: Mapping[str, Any], unset: Sequence[str]) -> _Diff:
    every = _Diff(set_, list(dict.fromkeys(unset)), before)
    unchanged = [name for name in every.names() if every.is_so(name, before)]
    return _Diff(
        {name: value for name, value in set_.items() if name not in unchanged},
        [name for name in every.unset if name not in unchanged],
        before,
        unchanged,
    )


def _acts(pipeline: str, diff: _Diff) -> list[str]:
    """What is lost, in sentences that stay the same while it does."""
    was = _shown({name: diff.before[name] for name in diff.lost})
    now = _shown(diff.set)
    acts = []
    for name in diff.lost:
        old = one_line(json.dumps(was[name], ensure_ascii=False), 120)
        new = f" by {one_line(json.dumps(now[name], ensure_ascii=False), 120)}" if name in diff.set else ""
        verb = "overwrite" if new else "remove"
        acts.append(f"{verb} {quoted(name)} of {quoted(pipeline)}, which is {old}{f',{new}' if new else ''}")
    return acts


def _shown(values: Mapping[str, Any]) -> dict[str, Any]:
    """What was may be asked for again, so a few of them are shown nearly whole."""
    return shown_variables(dict(values), most=_MOST_AT_ONCE, longest=1_000 if len(values) <= 10 else 120)


def _answer(pipeline: str, diff: _Diff, after: Mapping[str, Any] | None) -> VariablesChange:
    """`after` is what was read back; None where nothing was done yet."""
    read = {**diff.before, **diff.set} if after is None else after
    if after is None:
        read = {name: value for name, value in read.items() if name not in diff.unset}
    done = [name for name in diff.names() if diff.is_so(name, read)]
    return VariablesChange(
        changed=bool(done) and after is not None,
        pipeline=pipeline,
        added=[name for name in done if name in diff.set and name not in diff.before],
        overwritten=[name for name in done if name in diff.set and name in diff.before],
        removed=[name for name in done if name in diff.unset],
        unchanged=list(diff.unchanged),
        before=_shown({name: diff.before[name] for name in diff.lost if name in done}),
        after=shown_variables({name: read[name] for name in done if name in diff.set}, most=_SHOWN),
        failed={
            name: diff.failed.get(name, "Mage took it, and it is not so now.")
            for name in diff.names()
            if name not in done
        },
        others=_others(diff, read) if after is not None else [],
        note=_note(diff, after),
    )


def _others(diff: _Diff, after: Mapping[str, Any]) -> list[str]:
    names = {*diff.before, *after} - set(diff.names())
    return sorted(name for name in names if not same_json(diff.before.get(name), after.get(name)))[:_SHOWN]


def _note(diff: _Diff, after: Mapping[str, Any] | None) -> str:
    if not diff.names():
        return "All of it is so already; nothing was written."
    if after is None:
        return _said_of_secrets(diff).strip()
    cut = f"Only {_SHOWN} of the values are shown. " if len(diff.set) > _SHOWN else ""
    return f"{cut}New runs get them, unless their trigger or the run itself sets others.{_said_of_secrets(diff)}"


def _said_of_secrets(diff: _Diff) -> str:
    """Mage keeps variables in the pipeline's metadata.yaml, and shows them to whoever may look."""
    names = ", ".join(quoted(name) for name in list(diff.set)[:_SHOWN] if is_secret_name(name))
    told = " Variables stand readable in the project's files, secrets (list_secrets) do not: was it to be one, "
    return f"{told}{names}?" if names else ""

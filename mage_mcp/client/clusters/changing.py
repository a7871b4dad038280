"""Changing a cluster's config: read as late as possible, write the whole of it, read again, and say what is not so."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import anyio

from mage_mcp.client.clusters.cloud import CloudState
from mage_mcp.client.clusters.config_patch import check_patch, diff_lines, merged, paths
from mage_mcp.client.clusters.env_vars import EnvDiff, apply, check_request
from mage_mcp.client.clusters.masking import ENVS, remember_secrets
from mage_mcp.client.clusters.models import ConfigChange, EnvVarsChange, Planned
from mage_mcp.client.clusters.power import ClusterPower
from mage_mcp.client.clusters.same import same_json
from mage_mcp.client.clusters.saving import (
    Saved,
    between,
    config_answer,
    differing_in,
    env_acts,
    env_answer,
    not_kept_of,
)
from mage_mcp.client.clusters.waiting import Report, is_ready
from mage_mcp.client.secrets import remember_value
from mage_mcp.errors import MageError, MageWriteUncertain

T = TypeVar("T")
_A = TypeVar("_A", EnvVarsChange, ConfigChange)

_RESTARTS = "Mage Cloud restarts the cluster after saving"


class ClusterConfig(ClusterPower):
    """Change one cluster's environment variables and the rest of its config."""

    async def plan_update_env_vars(
        self,
        *,
        set_: Mapping[str, str] | None = None,
        unset: Sequence[str] = (),
        replace_references: bool = False,
        dry_run: bool = False,
    ) -> Planned:
        """What it would do, by names, and which runs the restart after saving would interrupt.

        Raises MageInvalid as `update_env_vars` does.
        """
        set_ = _wanted(set_, unset)
        state = await self._cloud.state()
        diff = _env_diff(state, set_, unset, replace_references)
        if dry_run or not diff.changes:
            return Planned()
        return await self._plan(state, "environment variables", env_acts(diff))

    async def update_env_vars(
        self,
        *,
        set_: Mapping[str, str] | None = None,
        unset: Sequence[str] = (),
        replace_references: bool = False,
        dry_run: bool = False,
        wait_s: float = 0,
        progress: Report | None = None,
    ) -> EnvVarsChange:
        """Set and unset variables by name; everything else stays as it is. Answers names, never values.

        Raises MageInvalid (nothing was written), MageForbidden where the role is not Admin, MageWriteUncertain and
        other MageErrors. Source: Mage Pro API, "Set environment variables".
        """
        set_ = _wanted(set_, unset)
        mark = self._cloud.writes
        first = await self._cloud.state()
        if dry_run:
            planned = _env_diff(first, set_, unset, replace_references)
            plan = await self._plan(first, "environment variables", env_acts(planned))
            return env_answer(Saved(first, planned, None, None), would=plan.acts if planned.changes else ())
        asked = [*set_, *unset]

        def change(state: CloudState) -> tuple[EnvDiff, dict[str, Any] | None]:
            diff = _env_diff(state, set_, unset, replace_references)
            return diff, {**state.writable_config(), ENVS: diff.envs} if diff.changes else None

        saved = await self._save(change, mark, what="change the environment variables", role="Admin")
        answer = env_answer(
            saved,
            others=between(first, saved, asked),
            not_kept=not_kept_of(saved, asked),
        )
        return await self._settled(answer, saved, wait_s, progress)

    async def plan_update_config(self, patch: dict[str, Any], *, dry_run: bool = False) -> Planned:
        """What it would change, secrets masked, and which runs the restart after saving would interrupt.

        Raises MageInvalid as `update_config` does.
        """
        _remember_patch(check_patch(patch))
        state = await self._cloud.state()
        lines = diff_lines(state.config, merged(state.writable_config(), patch))
        if dry_run or not lines:
            return Planned()
        return await self._plan(state, "config", [f"change {line}" for line in lines])

    async def update_config(
        self,
        patch: dict[str, Any],
        *,
        dry_run: bool = False,
        wait_s: float = 0,
        progress: Report | None = None,
    ) -> ConfigChange:
        """Change the rest of the config by a JSON merge patch.

        Raises MageInvalid (nothing was written), MageForbidden where the role is neither Editor nor Admin,
        MageWriteUncertain and other MageErrors. Source: Mage Pro API; RFC 7396.
        """
        _remember_patch(check_patch(patch))
        mark = self._cloud.writes
        first = await self._cloud.state()
        if dry_run:
            lines = diff_lines(first.config, merged(first.writable_config(), patch))
            plan = await self._plan(first, "config", [f"change {line}" for line in lines])
            return config_answer(Saved(first, lines, None, None), would=plan.acts if lines else ())

        def change(state: CloudState) -> tuple[list[str], dict[str, Any] | None]:
            new = merged(state.writable_config(), patch)
            lines = diff_lines(state.config, new)
            return lines, new if lines else None

        saved = await self._save(change, mark, what="change the config", role="Editor or Admin")
        touched = paths(saved.before.config, saved.sent) if saved.sent is not None else []
        answer = config_answer(
            saved,
            others=between(first, saved, touched),
            not_kept=not_kept_of(saved, touched),
        )
        return await self._settled(answer, saved, wait_s, progress)

    async def _save(
        self, change: Callable[[CloudState], tuple[T, dict[str, Any] | None]], mark: int, *, what: str, role: str
    ) -> Saved[T]:
        """Read, change, write, look: nobody else of this process writes meanwhile.

        Who writes from elsewhere between our read and our write is overwritten, which nothing here can see: the Cloud
        takes no condition with a write. That is one round trip, and what comes after it is found by the look.
        """

        async def act() -> Saved[T]:
            before = await self._cloud.state()
            outcome, sent = change(before)
            if sent is None:
                return Saved(before, outcome, None, before)
            return await self._write(before, outcome, sent, what=f"{what} of {before.title}", role=role)

        async with self._cloud.writing():
            ours = frozenset(self._cloud.ours_since(mark))
            return replace(await self._cloud.again_if_not_taken(act), ours=ours)

    async def _write(self, before: CloudState, outcome: T, sent: dict[str, Any], *, what: str, role: str) -> Saved[T]:
        self._cloud.wrote(differing_in(before.config, sent))
        lost: MageWriteUncertain | None = None
        with anyio.CancelScope(shield=True):
            try:
                await self._cloud.put(sent, what=what, role=role)
            except MageWriteUncertain as error:
                lost = error
            try:
                back = await self._cloud.state()
            except MageError as error:
                if lost is not None:
                    raise lost from None
                return Saved(before, outcome, sent, None, f"It was written, but not read back: {error.what}")
        if lost is None:
            return Saved(before, outcome, sent, back)
        if same_json(back.config, before.config):
            raise lost
        return Saved(before, outcome, sent, back, "Mage Cloud's answer was lost; this is what was read since.")

    async def _plan(self, state: CloudState, what: str, acts: Sequence[str]) -> Planned:
        if not state.is_off:
            restarts = f"restart {state.title}, which Mage Cloud does after saving"
            acts = [*acts, restarts, *await self._runs_under_way(state)]
        return Planned(f"Change the {what} of {self._title(state)}?", tuple(acts))

    async def _settled(self, answer: _A, saved: Saved[Any], wait_s: float, progress: Report | None) -> _A:
        """Wait for the restart, as long as the call wants to, and tell what is."""
        if saved.sent is None:
            return answer
        state, note = saved.back, answer.note
        if saved.before.is_off:
            note = f"{note} The cluster is not running: it holds from the next start."
        elif wait_s <= 0:
            note = f"{note} {_RESTARTS}, which takes minutes; get_cluster shows when it is back."
        else:
            state, word = await self._see_restart(saved.back, wait_s, progress)
            note = f"{note} {_RESTARTS}, {word}."
        return answer.model_copy(update={"note": note.strip(), "after": state.status if state else "unknown"})

    async def _see_restart(
        self, back: CloudState | None, wait_s: float, progress: Report | None
    ) -> tuple[CloudState | None, str]:
        """Wait until the cluster was seen down and is back: right after saving it may still look as before."""
        went = False

        def is_back(state: CloudState, answers: bool | None) -> bool:
            nonlocal went
            went = went or not is_ready(state, answers)
            return went and is_ready(state, answers)

        if back is not None:
            is_back(back, None)
        state, answers = await self._wait(is_back, wait_s, progress)
        if not is_ready(state, answers):
            return state, "which goes on; get_cluster shows when it is back"
        return state, "and it is back" if went else "which was not seen to begin so far"


def _wanted(set_: Mapping[str, str] | None, unset: Sequence[str]) -> Mapping[str, str]:
    """What is to be set, checked, and remembered as secret before it can turn up anywhere."""
    set_ = set_ or {}
    check_request(set_, unset)
    for name, value in set_.items():
        remember_value(name, value)
    return set_


def _remember_patch(patch: dict[str, Any]) -> None:
    remember_secrets({**patch, ENVS: None})


def _env_diff(
    state: CloudState,
    set_: Mapping[str, str],
    unset: Sequence[str],
    replace_references: bool,
) -> EnvDiff:
    envs = state.writable_config().get(ENVS)
    return apply(envs, set_=set_, unset=unset, replace_references=replace_references)

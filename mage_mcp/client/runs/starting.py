"""Starting a run: exactly one, through a trigger that stays, and found again when Mage's answer is lost."""

import secrets
from collections import defaultdict
from datetime import UTC, datetime
from typing import Any

import anyio

from mage_mcp.client.models import Change, Name
from mage_mcp.client.near import unknown_pipeline
from mage_mcp.client.paths import api, pipeline_uuid
from mage_mcp.client.pipelines import Pipelines
from mage_mcp.client.records import RunRecord, TriggerRecord
from mage_mcp.client.replies import root
from mage_mcp.client.runs.reporting import Report, RunReport, RunReporter
from mage_mcp.client.runs.unknown_names import unknown_names
from mage_mcp.client.transport import Params, Transport
from mage_mcp.client.triggers import OURS, OURS_TYPE, Triggers, is_ours
from mage_mcp.client.triggers.wishes import check_variables
from mage_mcp.errors import (
    MageError,
    MageFailed,
    MageInvalid,
    MageNotFound,
    MageReplyInvalid,
    MageWriteUncertain,
    noting,
)
from mage_mcp.text import one_line, quoted

NONCE = "mage_mcp_request"
"""Key in a run's `event_variables`, which Mage keeps as sent and which override nothing: finds the run again."""

_LOOKS = (0.0, 1.0, 2.0, 4.0)
"""Seconds to wait before each look for a run whose answer was lost."""
_LATEST_20: Params = {"_limit": 20, "order_by[]": "id desc", "disable_retries_grouping": True}


class StartedRun(RunReport, Change):
    """The run that was started, and how it is; without a run where nothing was."""

    run: int | None = None  # type: ignore[assignment]
    pipeline: Name = ""
    status: str = ""


class RunStarter(RunReporter):
    """Start runs."""

    def __init__(self, transport: Transport, pipelines: Pipelines, triggers: Triggers) -> None:
        super().__init__(transport, pipelines, triggers)
        self._making_trigger: defaultdict[str, anyio.Lock] = defaultdict(anyio.Lock)

    async def start_and_report(
        self, pipeline: str, *, wait_s: float = 0, progress: Report | None = None, **how: Any
    ) -> StartedRun:
        """`start`, then `report` on the run: at once, or when it has ended or `wait_s` are over."""
        record, note = await self.start(pipeline, **how)
        try:
            with noting(f"Run {record.id} was started."):
                report = await self.report(str(record.id), wait_s=wait_s, progress=progress)
        except MageError as error:
            note = f"{note} The run was started; looking at it then failed: {error}".strip()
            return StartedRun(changed=True, run=record.id, pipeline=pipeline, status=record.status, note=note)
        told = {name: getattr(report, name) for name in type(report).model_fields}
        return StartedRun(**{**told, "changed": True, "note": f"{note} {report.note}".strip()})

    async def start(
        self, pipeline: str, *, variables: dict[str, Any] | None = None, trigger: str = "", execution_date: str = ""
    ) -> tuple[RunRecord, str]:
        """Make one run of a pipeline.

        Without `trigger` it goes through the pipeline's own trigger `mage-mcp`, made when it is not there yet: of type
        `event`, which no token can start. Deleting a trigger hides its runs, so it stays. `execution_date` is taken as
        UTC where it names no zone, and gets microseconds of its own: runs that share a date share logs and outputs.

        Answers the run and a note where there is something to know about the way it was started. Raises MageNotFound,
        MageInvalid (an inactive trigger: its runs would wait for ever), MageWriteUncertain where
        the answer was lost and no run could be found. Source: Mage PipelineRunResource.create.
        """
        check_variables(variables or {}, outcome="nothing was started")
        body: dict[str, Any] = {
            "variables": variables or {},
            "event_variables": {NONCE: secrets.token_hex(8)},
        }
        if execution_date:
            body["execution_date"] = _execution_date(execution_date)
        used, created = await self._trigger(pipeline, trigger)
        unknown = await self._unknown(pipeline, variables or {}, used)
        with anyio.CancelScope(shield=True):
            record, note = await self._post(used, body)
        note = f"{note} {unknown}".strip()
        if created:
            note = f"The pipeline has got an event trigger {OURS!r} ({used.id}) for such runs. {note}".strip()
        return record, note

    async def _trigger(self, pipeline: str, trigger: str) -> tuple[TriggerRecord, bool]:
        """The trigger to use and whether it was made for this."""
        try:
            known = await self._triggers.of_pipeline(pipeline_uuid(pipeline))
        except MageNotFound:
            raise await unknown_pipeline(self._transport, pipeline) from None
        if trigger:
            return _awake(await self._triggers.find(trigger, pipeline=pipeline)), False
        if ours := [record for record in known if is_ours(record)]:
            return _awake(ours[0]), False
        await self._pipelines.record(pipeline)  # Mage makes triggers for pipelines that do not exist
        with anyio.CancelScope(shield=True):
            async with self._making_trigger[pipeline]:
                made = await self._make_ours(pipeline)
        return made

    async def _unknown(self, pipeline: str, variables: dict[str, Any], trigger: TriggerRecord) -> str:
        """A word on variables that nothing knows; it costs a request, with the blocks' code, where there are any."""
        if not variables or set(variables) <= set(trigger.variables):
            return ""
        try:
            return unknown_names(variables, await self._pipelines.with_sources(pipeline), trigger)
        except MageError:
            return ""  # only what is asked for has to work

    async def _make_ours(self, pipeline: str) -> tuple[TriggerRecord, bool]:
        """Make our trigger unless another call just did; where two servers did at once, the lowest id wins."""
        created = False
        for _ in range(2):
            ours = [record for record in await self._triggers.of_pipeline(pipeline) if is_ours(record)]
            if ours:
                return _awake(ours[0]), created
            settings = {
                "name": OURS,
                "schedule_type": OURS_TYPE,
                "status": "active",
                "description": "Runs started by mage-mcp. Deleting it hides them.",
            }
            try:
                await self._transport.write(
                    "POST", api("pipelines", pipeline, "pipeline_schedules"), {"pipeline_schedule": settings}
                )
                created = True
            except MageWriteUncertain:
                pass  # the list tells
        raise MageFailed(
            f"Mage took the trigger {OURS!r} for {quoted(pipeline)} but does not list it; no run was started.",
            next_step="Look with list_triggers, or name a trigger of the pipeline.",
        )

    async def _post(self, trigger: TriggerRecord, body: dict[str, Any]) -> tuple[RunRecord, str]:
        """POST the run once. Where the answer is lost or says error, find out whether the run exists.

        Raises MageWriteUncertain where that cannot be found out.
        """
        try:
            reply = await self._transport.write(
                "POST", api("pipeline_schedules", trigger.id, "pipeline_runs"), {"pipeline_run": body}
            )
            return RunRecord.model_validate(root(reply, "pipeline_run")), ""
        except (MageWriteUncertain, MageFailed, MageReplyInvalid) as error:
            refused = isinstance(error, MageFailed)
            record = await self._find_by_nonce(trigger, body["event_variables"][NONCE], once=refused)
            if record is not None:
                return record, "Mage's answer was lost; this run was found by the mark sent with it."
            if refused:
                raise
            raise _perhaps_started(trigger, f"no run of trigger {trigger.id} bears this call's mark so far") from error

    async def _find_by_nonce(self, trigger: TriggerRecord, nonce: str, *, once: bool) -> RunRecord | None:
        hindrance: MageError | None = None
        for pause in _LOOKS[:1] if once else _LOOKS:
            await self._transport.clock.sleep(pause)
            try:
                reply = await self._transport.read(
                    api("pipeline_schedules", trigger.id, "pipeline_runs"),
                    **_LATEST_20,
                )
                records = [RunRecord.model_validate(row) for row in root(reply, "pipeline_runs", kind=list)]
            except MageError as error:  # whatever it is: told instead, it would hide that there may be a run
                hindrance = error
                continue
            hindrance = None
            for record in records:
                if record.event_variables.get(NONCE) == nonce:
                    return record
        if hindrance is not None:
            raise _perhaps_started(trigger, f"looking for the run failed as well ({hindrance.what})") from hindrance
        return None


def _perhaps_started(trigger: TriggerRecord, why: str) -> MageWriteUncertain:
    return MageWriteUncertain(
        f"Mage's answer was lost, and {why}.",
        next_step=f"Look at list_runs(pipeline={trigger.pipeline_uuid!r}) before you start another.",
    )


def _awake(trigger: TriggerRecord) -> TriggerRecord:
    if trigger.status != "active":
        raise MageInvalid(
            f"Trigger {trigger.id} ({quoted(trigger.name, 60)}) of {quoted(trigger.pipeline_uuid)} is inactive: a run "
            "of it would wait for ever, and it is not switched on unasked. Nothing was started.",
            next_step=f"update_triggers(triggers=[{trigger.id}], status='active') switches it on, if that is wanted, "
            "and starts whatever waits; or name another trigger (list_triggers shows them).",
        )
    return trigger


def _execution_date(text: str) -> str:
    """UTC, no offset (Mage would drop it), with microseconds that no other run is likely to have."""
    try:
        moment = datetime.fromisoformat(text.strip())
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise MageInvalid(
            f"execution_date cannot be read: {one_line(text, 40)!r}; nothing was started.",
            next_step="It takes an ISO date or time such as 2026-11-01 or 2026-11-01T06:00:00Z.",
        ) from None
    return str(moment.replace(tzinfo=None, microsecond=secrets.randbelow(999_999) + 1))

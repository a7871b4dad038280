"""Which of many runs under way are stuck, judged from their rows: few requests for what the rows do not tell.

Two requests for a page (the rows, the scheduler), one for each trigger of runs that wait, and for each pipeline of runs
that go on one for logs and, where they go on long enough to be late, one for the latest completed run.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from mage_mcp.client.evidence import Evidence, which_evidence
from mage_mcp.client.findings import diagnose_running
from mage_mcp.client.log_files import LogFiles, read_log_files
from mage_mcp.client.models import DEFAULT_LIMIT, ROOM, ROOM_BY_DEFAULT, how_many_fit
from mage_mcp.client.paths import api
from mage_mcp.client.records import UNFINISHED, RunRecord, TriggerRecord
from mage_mcp.client.replies import count, root
from mage_mcp.client.run_rows import RunRow, duration_s, run_row
from mage_mcp.client.runs.gathering import MISSING
from mage_mcp.client.runs.pages import RunPage
from mage_mcp.client.runs.waiting import SETTLED_S, scheduler_status
from mage_mcp.client.transport import Params, Transport
from mage_mcp.client.triggers import Triggers
from mage_mcp.text import one_line, quoted

_SLOW = 2.0
_SLOW_AT_LEAST_S = 60.0
"""Longer than usual is twice as long, and a minute more."""
_LONG_WITHOUT_EXAMPLE_S = 6 * 3600.0
_SHOULD_HAVE_STARTED_S = 300.0
_LONGEST_WHY = 200
_NAME = 60


@dataclass(frozen=True)
class Told:
    """What was fetched about the runs of one page; what could not be had is missing."""

    scheduler: str = ""
    triggers: Mapping[int, TriggerRecord] = field(default_factory=dict)
    logs: Mapping[int, LogFiles] = field(default_factory=dict)
    """By run."""
    usual_s: Mapping[str, float] = field(default_factory=dict)
    """By pipeline: seconds that its latest completed run took."""


async def stuck_page(
    transport: Transport, triggers: Triggers, path: str, params: Params, *, one_pipeline: bool, limit: int, offset: int
) -> RunPage:
    """The stuck ones of `limit` runs that have not ended, the oldest made first.

    `total` counts those of this page; `params` filter the runs that are looked at.
    """
    asked = {**params, "status[]": ",".join(UNFINISHED), "order_by[]": "id asc"}
    reply = await transport.read(path, **asked, _limit=limit, _offset=offset)
    runs = [RunRecord.model_validate(row) for row in root(reply, "pipeline_runs", kind=list)]
    unfinished = count(reply, fallback=offset + len(runs))
    now = transport.clock.utc()
    found = await _stuck_rows(transport, triggers, runs, now, pipeline=not one_pipeline)
    fit = how_many_fit([row for _, row in found], room=ROOM if limit > DEFAULT_LIMIT else ROOM_BY_DEFAULT)
    end = offset + (found[fit][0] if fit < len(found) else len(runs))
    return RunPage(
        items=[row for _, row in found[:fit]],
        total=len(found),
        next_offset=end if unfinished > end and runs else None,
        now=now,
        note=_of_unfinished(found=len(found), end=end, unfinished=unfinished),
    )


def _of_unfinished(*, found: int, end: int, unfinished: int) -> str:
    """How much of what has not ended was looked at."""
    if not unfinished:
        return "No run is waiting or running."
    looked = f"{unfinished} runs have not ended; {end} of them, the oldest, were looked at." if end < unfinished else ""
    return f"{looked} {'' if found else 'None of those looked at is stuck.'}".strip()


async def _stuck_rows(
    transport: Transport, triggers: Triggers, runs: Sequence[RunRecord], now: datetime, *, pipeline: bool
) -> list[tuple[int, RunRow]]:
    """The stuck ones of these runs, with their places among them, what holds each up and what to do about it."""
    told = await _told(transport, triggers, runs, now)
    rows = []
    for place, run in enumerate(runs):
        held = _held(run, told, now)
        if held is not None:
            why, next_step = held
            row = run_row(run, now=now, pipeline=pipeline)
            rows.append((place, row.model_copy(update={"why": one_line(why, _LONGEST_WHY), "next_step": next_step})))
    return rows


def age_s(run: RunRecord, now: datetime) -> float:
    """Seconds since it began, a retry counting anew, or since it was made where it has not begun."""
    if run.status == "running" and (going := duration_s(run, now)) is not None:
        return going
    return round(max(0.0, (now - run.created_at).total_seconds()), 1) if run.created_at else 0.0


def is_late(run: RunRecord, age: float, usual: float | None) -> bool:
    """Whether it goes on, or waits, for much longer than it should."""
    if run.started_at is None:
        return age > _SHOULD_HAVE_STARTED_S
    return age > (_LONG_WITHOUT_EXAMPLE_S if usual is None else max(_SLOW * usual, usual + _SLOW_AT_LEAST_S))


def _held(run: RunRecord, told: Told, now: datetime) -> tuple[str, str] | None:
    """Why a run is stuck and what to do; None for one that is not."""
    if told.scheduler not in {"running", ""}:
        return f"Mage's scheduler is {quoted(told.scheduler, 40)}.", "A person has to start the scheduler."
    return _not_started(run, told, now) if run.status == "initial" else _under_way(run, told, now)


def _not_started(run: RunRecord, told: Told, now: datetime) -> tuple[str, str] | None:
    trigger = told.triggers.get(run.pipeline_schedule_id or 0)
    if trigger is not None and trigger.status == "inactive":
        return (
            f"Its trigger {trigger.id} is inactive.",
            f"cancel_runs(runs=[{run.id}]), or update_triggers(triggers=[{trigger.id}], status='active')",
        )
    if is_late(run, age_s(run, now), None):
        waits = "Not started: a limit of runs at once, or Mage's queue, holds it back."
        return waits, f"get_run(run={run.id}) says which"
    return None


def _under_way(run: RunRecord, told: Told, now: datetime) -> tuple[str, str] | None:
    files = told.logs.get(run.id, LogFiles())
    found = diagnose_running(Evidence(run=run, block_logs=files.blocks, scheduler_log=files.scheduler))
    if found:
        block = f"{quoted(found[0].block, _NAME)}: " if found[0].block else ""
        times = f" ({found[0].times} times)" if (found[0].times or 0) > 1 else ""
        why = f"{block}its worker dies and is started again, for ever{times}."
        return why, f"cancel_runs(runs=[{run.id}])"
    if lost := _lost_block(run, now):
        why = f"{quoted(lost, _NAME)} is queued and no worker takes it up."
        return why, f"cancel_runs(runs=[{run.id}]), then retry_run(run={run.id}); any other run may free it"
    usual = told.usual_s.get(run.pipeline_uuid)
    if not is_late(run, age_s(run, now), usual):
        return None
    at_work = [quoted(block.block_uuid, _NAME) for block in run.block_runs if block.status == "running"]
    where = f" In {', '.join(at_work[:2])}." if at_work else ""
    usually = "no completed run to compare with" if usual is None else f"usually {usual:.0f} s"
    return f"Much longer than it should ({usually}).{where}", f"get_run_logs(run={run.id})"


def _lost_block(run: RunRecord, now: datetime) -> str:
    """A block that has been queued for a while beside none that runs."""
    if any(block.status == "running" for block in run.block_runs):
        return ""
    queued = [block for block in run.block_runs if block.status == "queued" and block.updated_at]
    waiting = [block for block in queued if block.updated_at and (now - block.updated_at).total_seconds() > SETTLED_S]
    return waiting[0].block_uuid if waiting else ""


async def _told(transport: Transport, triggers: Triggers, runs: Sequence[RunRecord], now: datetime) -> Told:
    if not runs:
        return Told()
    running = [run for run in runs if run.status == "running"]
    schedules = {run.pipeline_schedule_id for run in runs if run.status == "initial" and run.pipeline_schedule_id}
    perhaps_late = {run.pipeline_uuid for run in running if age_s(run, now) > _SLOW_AT_LEAST_S}
    scheduler, found, logs, usual = await asyncio.gather(
        scheduler_status(transport),
        asyncio.gather(*(_trigger(triggers, schedule) for schedule in sorted(schedules))),
        asyncio.gather(*(_logs(transport, group) for group in _groups(running))),
        asyncio.gather(*(_usual_s(transport, uuid) for uuid in sorted(perhaps_late))),
    )
    return Told(
        scheduler=scheduler,
        triggers={trigger.id: trigger for trigger in found if trigger is not None},
        logs={run: files for group in logs for run, files in group.items()},
        usual_s={uuid: seconds for uuid, seconds in zip(sorted(perhaps_late), usual, strict=True) if seconds},
    )


def _groups(runs: Iterable[RunRecord]) -> list[list[RunRecord]]:
    """Runs whose logs come in one answer: those of a pipeline, and each that has no block runs by itself."""
    groups: dict[str, list[RunRecord]] = {}
    for run in runs:
        groups.setdefault(run.pipeline_uuid if run.block_runs else f":{run.id}", []).append(run)
    return list(groups.values())


async def _logs(transport: Transport, runs: Sequence[RunRecord]) -> dict[int, LogFiles]:
    """The logs of what is under way in these runs."""
    wanted = [block_run for run in runs for block_run in which_evidence(run).block_runs]
    if runs[0].block_runs and not wanted:
        return {}
    try:
        files = await read_log_files(transport, runs[0], block_runs=wanted if runs[0].block_runs else None)
    except MISSING:
        return {}
    return dict.fromkeys((run.id for run in runs), files)


async def _trigger(triggers: Triggers, trigger: int) -> TriggerRecord | None:
    try:
        return await triggers.record(trigger)
    except MISSING:
        return None


async def _usual_s(transport: Transport, pipeline: str) -> float | None:
    """Seconds that the latest completed run took."""
    reply = await transport.read(
        api("pipeline_runs"),
        pipeline_uuid=pipeline,
        status="completed",
        disable_retries_grouping=True,
        _limit=1,
        **{"order_by[]": "id desc"},
    )
    runs = [RunRecord.model_validate(row) for row in root(reply, "pipeline_runs", kind=list)]
    return duration_s(runs[0]) if runs else None

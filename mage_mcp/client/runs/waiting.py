"""Why a run has not ended: the scheduler, the trigger, the queue, or a block that takes its time."""

import asyncio
from datetime import datetime
from typing import Any

from mage_mcp.client.paths import api
from mage_mcp.client.pipelines import Pipelines
from mage_mcp.client.records import BlockRunRecord, PipelineRecord, RunRecord, TriggerRecord
from mage_mcp.client.replies import rows
from mage_mcp.client.run_rows import duration_s
from mage_mcp.client.runs.gathering import MISSING
from mage_mcp.client.transport import Transport
from mage_mcp.client.triggers import Triggers
from mage_mcp.text import quoted

_SLOW = 2.0
"""Times the usual duration from which on a block is called slow."""
SETTLED_S = 60
"""Seconds after which a run or block that nobody picked up is worth a word."""


async def what_it_waits_for(
    transport: Transport,
    pipelines: Pipelines,
    triggers: Triggers,
    run: RunRecord,
    *,
    usual: dict[str, float],
    now: datetime,
) -> str:
    """One or two sentences on an unfinished run."""
    scheduler, trigger, pipeline = await asyncio.gather(
        scheduler_status(transport), _trigger(triggers, run), _pipeline(pipelines, run)
    )
    if scheduler not in {"running", ""}:
        return f"Mage's scheduler is {quoted(scheduler, 40)}: no run makes progress until a person starts it."
    if run.status == "initial":
        return await _not_started(transport, run, trigger, pipeline, now)
    return _under_way(run, usual, now)


async def _not_started(
    transport: Transport, run: RunRecord, trigger: TriggerRecord | None, pipeline: PipelineRecord | None, now: datetime
) -> str:
    if trigger and trigger.status == "inactive":
        return (
            f"Its trigger {trigger.id} is inactive: the run does not start until that is active. "
            f"update_triggers(triggers=[{trigger.id}], status='active') switches it on, or cancel_runs."
        )
    if trigger and (ahead := await _runs_ahead(transport, trigger, pipeline)):
        return ahead
    age = (now - run.created_at).total_seconds() if run.created_at else 0.0
    if age < SETTLED_S:
        return "The scheduler picks it up at its next loop, within seconds."
    return (
        f"It was made {age:.0f} s ago and has not started: it queues for a free place (Mage's queue_config or the "
        "pipeline's concurrency limit)."
    )


def _under_way(run: RunRecord, usual: dict[str, float], now: datetime) -> str:
    running = [block for block in run.block_runs if block.status == "running"]
    queued = [block for block in run.block_runs if block.status == "queued"]
    if running:
        return " ".join(_running_block(block, usual, now) for block in running[:3])
    if queued:
        return (
            f"{quoted(queued[0].block_uuid)} is queued. Mage's queue sometimes loses a block when its workers stop; "
            "if it stays so for more than a minute, any other run frees it, or cancel and retry."
        )
    if not run.block_runs:
        return "It runs as one process, without block runs (a streaming or integration pipeline)."
    return "No block is running at this moment: the scheduler starts the next one at its next loop."


def _running_block(block: BlockRunRecord, usual: dict[str, float], now: datetime) -> str:
    seconds = duration_s(block, now) or 0.0
    known = usual.get(block.block_uuid)
    if known is None:
        return f"{quoted(block.block_uuid)} has been running for {seconds:.0f} s; no completed run to compare with."
    word = "longer than usual" if seconds > max(_SLOW * known, known + 5) else "as usual"
    usually = f"{word} ({known:.0f} s in the last completed run)"
    return f"{quoted(block.block_uuid)} has been running for {seconds:.0f} s, {usually}."


async def scheduler_status(transport: Transport) -> str:
    """`running`, `stopped`, or empty where Mage does not tell."""
    try:
        statuses = rows(await transport.read(api("status")), "statuses")
    except MISSING:
        return ""
    return str(statuses[0].get("scheduler_status") or "") if statuses else ""


async def _trigger(triggers: Triggers, run: RunRecord) -> TriggerRecord | None:
    if run.pipeline_schedule_id is None or run.status != "initial":
        return None
    try:
        return await triggers.record(run.pipeline_schedule_id)
    except MISSING:
        return None


async def _pipeline(pipelines: Pipelines, run: RunRecord) -> PipelineRecord | None:
    if run.status != "initial":
        return None
    try:
        return await pipelines.record(run.pipeline_uuid)
    except MISSING:
        return None


async def _runs_ahead(transport: Transport, trigger: TriggerRecord, pipeline: PipelineRecord | None) -> str:
    """Whether a limit of runs at once holds this one back: of its trigger, or of its pipeline for all triggers.

    Source: Mage's schedule_all; a trigger without a limit of its own has the one its pipeline sets for each trigger.
    """
    config = pipeline.concurrency_config if pipeline else {}
    own = _limit(trigger.settings.get("pipeline_run_limit"))
    of_trigger = api("pipeline_schedules", trigger.id, "pipeline_runs")
    if limit := own or _limit(config.get("pipeline_run_limit")):
        whose = "pipeline_run_limit" if own else "its pipeline's concurrency_config"
        ids = await _running(transport, of_trigger, limit)
        if len(ids) >= limit:
            return f"Its trigger lets {limit} run at a time ({whose}): {', '.join(ids)} must end first."
    if limit := _limit(config.get("pipeline_run_limit_all_triggers")):
        ids = await _running(transport, api("pipeline_runs"), limit, pipeline_uuid=trigger.pipeline_uuid)
        if len(ids) >= limit:
            return f"Its pipeline lets {limit} run at a time (concurrency_config): {', '.join(ids)} must end first."
    return ""


async def _running(transport: Transport, path: str, limit: int, **params: str) -> list[str]:
    reply = await transport.read(path, **params, status="running", _limit=limit)
    return [str(row.get("id")) for row in rows(reply, "pipeline_runs")]


def _limit(value: Any) -> int:
    """A limit as it was set; 0 where there is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0

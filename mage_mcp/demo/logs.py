"""Mage's log files: a time, a JSON record, and behind an exception its traceback in raw lines."""

import json
from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from typing import Any

from mage_mcp.demo.runs import BlockRun, Note, Run
from mage_mcp.demo.script import script_of
from mage_mcp.demo.times import after
from mage_mcp.demo.traces import WORKER_STACK
from mage_mcp.demo.world import VARIABLES_DIR

_HEARTBEAT = {
    "cpu": 0.06,
    "cpu_total": 4,
    "cpu_usage": 0.015,
    "memory": 1024.0,
    "memory_total": 24105.0,
    "memory_usage": 0.0425,
}


def block_log(run: Run, block_run: BlockRun, now: datetime) -> dict[str, Any]:
    """The log of one block; the `/` of a nested block becomes `_` in the file's name."""
    notes = block_run.notes + [note for at in block_run.restarts(now) for note in _restart(run, block_run, at)]
    block = block_run.block
    tags = {"block_run_id": block_run.id, "block_uuid": block.uuid, **_tags(run), "block_type": block.type}
    lines = [_line(note, tags, number) for number, note in enumerate(_until(now, notes))]
    return _file(run, block.uuid.replace("/", "_"), "".join(lines), block_run.timeline.changed_at(now))


def run_logs(run: Run, now: datetime) -> list[dict[str, Any]]:
    """`pipeline.log`, which is always empty, and `scheduler.log`, where the reasons of odd failures stand."""
    restarts = [
        Note(at, "INFO", _executes(run, block_run), None, block_run)
        for block_run in run.block_runs
        for at in block_run.restarts(now)[1:]
    ]
    lines = []
    for number, note in enumerate(_until(now, run.notes + restarts)):
        tags: dict[str, Any] = _tags(run)
        if note.block_run is not None:
            tags = {"block_run_id": note.block_run.id, "block_uuid": note.block_run.block.uuid, **tags}
        elif note.message.endswith("is alive."):
            tags = {**_HEARTBEAT, **tags}
        lines.append(_line(note, tags, number))
    changed = run.timeline.changed_at(now)
    return [_file(run, "pipeline", "", changed), _file(run, "scheduler", "".join(lines), changed)]


def _restart(run: Run, block_run: BlockRun, at: datetime) -> Iterable[Note]:
    yield Note(at, "INFO", "Start executing block with BlockExecutor.")
    for line in script_of(block_run.block.uuid).prints(run.kwargs):
        yield Note(after(at, 0.01), "INFO", line)


def _executes(run: Run, block_run: BlockRun) -> str:
    what = f"pipeline {run.pipeline.uuid} block {block_run.block.uuid}"
    return f"Execute PipelineRun {run.id}, BlockRun {block_run.id}: {what}"


def _until(now: datetime, notes: list[Note]) -> list[Note]:
    return sorted((note for note in notes if note.at <= now), key=lambda note: note.at)


def _tags(run: Run) -> dict[str, Any]:
    return {
        "pipeline_run_id": run.id,
        "pipeline_schedule_id": run.trigger_id,
        "pipeline_uuid": run.pipeline.uuid,
    }


def _line(note: Note, tags: dict[str, Any], number: int) -> str:
    uuid = f"{tags.get('block_run_id', 0):08x}{tags['pipeline_run_id']:08x}{number:016x}"
    record = (
        f'{_head(tuple(tags.items()), note.level, note.message)}, "timestamp": {note.at.timestamp()}, "uuid": "{uuid}"'
    )
    raw = ""
    if note.error is not None:
        raw = note.error.traceback(attempt=note.level == "WARNING")
        # Mage has these two names the wrong way round.
        error = {"error": raw, "error_stack": WORKER_STACK, "error_stacktrace": note.error.text}
        record += f", {json.dumps(error)[1:-1]}"
    written = f"{note.at:%Y-%m-%dT%H:%M:%S} {record}}}\n"
    return written + raw if note.level == "EXCEPTION" else written


@lru_cache(maxsize=1024)
def _head(tags: tuple[tuple[str, Any], ...], level: str, message: str) -> str:
    """The part that thousands of records of a looping block have in common."""
    return json.dumps({**dict(tags), "level": level, "message": message})[:-1]


def _file(run: Run, name: str, content: str, changed: datetime | None) -> dict[str, Any]:
    content = "" if run.lost else content
    folder = f"{VARIABLES_DIR}/pipelines/{run.pipeline.uuid}/.logs/{run.variables['execution_partition']}"
    return {
        "name": f"{name}.log",
        "path": f"{folder}/{name}.log",
        "size": len(content.encode()),
        "modified_timestamp": (changed or run.created_at).timestamp(),
        "content": content,
    }

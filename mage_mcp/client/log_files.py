"""Mage's log files as it answers them: whole, parsed, by block run, and the scheduler's own."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from mage_mcp.client.log_lines import LogLine, parse_log
from mage_mcp.client.paths import api
from mage_mcp.client.records import RunRecord
from mage_mcp.client.replies import root
from mage_mcp.client.transport import Params, Transport

_MOST_FILES = 20
"""Of blocks in one answer, whatever `_limit` says; several ids go into one parameter, joined by commas."""


@dataclass(frozen=True, slots=True)
class LogFiles:
    """Parsed files. A file whose lines name no block run is under 0."""

    blocks: dict[int, list[LogLine]] = field(default_factory=dict)
    scheduler: list[LogLine] | None = None

    @property
    def all(self) -> list[list[LogLine]]:
        return [*self.blocks.values(), self.scheduler or []]


async def read_log_files(transport: Transport, run: RunRecord, *, block_runs: Sequence[int] | None = None) -> LogFiles:
    """All files of a run with the scheduler's, or those of some of its block runs, without.

    Source: Mage LogResource. It selects files, not lines: `level` and offsets are ignored, and with `block_run_id[]`
    the scheduler's log is left out. Raises MageReplyInvalid where they are too large together.
    """
    started = [block.id for block in run.block_runs if block.started_at]
    whole = block_runs is None
    selections: list[Params] = [{"pipeline_run_id[]": run.id}] if whole else []
    if block_runs is None:
        block_runs = started if len(started) > _MOST_FILES else ()
    for first in range(0, len(block_runs), _MOST_FILES):
        batch = block_runs[first : first + _MOST_FILES]
        selections.append({"block_run_id[]": ",".join(str(block_run) for block_run in batch)})
    path = api("pipelines", run.pipeline_uuid, "logs")
    answers = await asyncio.gather(*(_read(transport, path, selection) for selection in selections))
    blocks = {owner: lines for files in answers for owner, lines in files.blocks.items()}
    return LogFiles(blocks=blocks, scheduler=answers[0].scheduler if whole else None)


async def _read(transport: Transport, path: str, selection: Params) -> LogFiles:
    reply = await transport.read(path, **selection)
    logs = root(reply, "logs", kind=list)
    found = logs[0] if logs and isinstance(logs[0], dict) else {}
    blocks: dict[int, list[LogLine]] = {}
    for content in _contents(found, "block_run_logs"):
        lines = parse_log(content)
        owner = next((line.block_run for line in lines if line.block_run is not None), 0)
        blocks.setdefault(owner, []).extend(lines)
    scheduler = [line for content in _contents(found, "pipeline_run_logs") for line in parse_log(content)]
    return LogFiles(blocks=blocks, scheduler=scheduler)


def _contents(found: dict[str, Any], part: str) -> list[str]:
    files = found.get(part) or []
    return [file["content"] for file in files if isinstance(file, dict) and isinstance(file.get("content"), str)]

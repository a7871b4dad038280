"""What a diagnosis is made from, and which part of it a run's diagnosis needs."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from mage_mcp.client.log_lines import BLOCK_FAILED, LogLine
from mage_mcp.client.records import BlockRecord, BlockRunRecord, PipelineRecord, RunRecord

MOST_LOGS = 5
"""Blocks of one run that are diagnosed: a dynamic block may have failed in hundreds of its children."""

STARTED = "Start executing block"
FINISHED = "Finish executing block"
BLOCK_TIMEOUT = re.compile(r"Block .* timed out after .*")
RUN_TIMEOUT = re.compile(r"Pipeline run timed out after .*")
"""Seconds since the first start, not the limit: for a run or block that was retried both count on from there."""
_UNDER_WAY = ("queued", "running")
_EXTENSIONS = {"python": "py", "markdown": "md"}


@dataclass(frozen=True, slots=True)
class Needed:
    """What to fetch. `if_cheap` shows callbacks that failed and retries that passed; a diagnosis does without."""

    block_runs: tuple[int, ...] = ()
    scheduler_log: bool = False
    if_cheap: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A run and what was fetched about it. A log that could not be had is missing, not empty.

    `block_logs` are by block run id, `blocks` by uuid (callbacks and conditionals too, with their content),
    `modified` and `files` by path within the project.
    """

    run: RunRecord
    block_logs: Mapping[int, Sequence[LogLine]] = field(default_factory=dict)
    scheduler_log: Sequence[LogLine] | None = None
    blocks: Mapping[str, BlockRecord] = field(default_factory=dict)
    modified: Mapping[str, datetime] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    repo_path: str = ""

    @property
    def project(self) -> str:
        return self.repo_path or self.run.repo_path

    def log(self, block_run: BlockRunRecord) -> list[LogLine]:
        """Its own lines: runs that share an execution date share their log files."""
        lines = self.block_logs.get(block_run.id, ())
        return [line for line in lines if line.block_run in (None, block_run.id)]

    def last_attempt(self, block_run: BlockRunRecord) -> list[LogLine]:
        """The lines since the block was last started: after a retry its log holds the earlier attempts as well."""
        lines = self.log(block_run)
        first = max((i for i, line in enumerate(lines) if line.message.startswith(STARTED)), default=0)
        return lines[first:]

    def block(self, uuid: str) -> BlockRecord | None:
        """The definition; children of a dynamic block (`part:two`) share that of their parent."""
        return self.blocks.get(uuid) or self.blocks.get(base_uuid(uuid))

    def source(self, uuid: str) -> str | None:
        block = self.block(uuid)
        return block.content if block else None

    def file(self, uuid: str) -> str:
        block = self.block(uuid)
        return block_file(block) if block else ""


def base_uuid(uuid: str) -> str:
    return uuid.partition(":")[0]


def blocks_of(pipeline: PipelineRecord) -> dict[str, BlockRecord]:
    """All that can raise in a pipeline, by uuid."""
    return {block.uuid: block for block in (*pipeline.callbacks, *pipeline.conditionals, *pipeline.blocks)}


def block_file(block: BlockRecord) -> str:
    """The block's file within the project: what its configuration names, else `<type in plural>/<uuid>.<extension>`."""
    source = block.configuration.get("file_source")
    named = block.configuration.get("file_path") or (source.get("path") if isinstance(source, dict) else None)
    if isinstance(named, str) and named and not named.startswith("/"):
        return named
    folder = block.type if block.type in ("custom", "dbt") else f"{block.type}s"
    return f"{folder}/{block.uuid}.{_EXTENSIONS.get(block.language, block.language or 'py')}"


def which_evidence(run: RunRecord) -> Needed:
    """What `Evidence` should hold for this run, beside the definitions of the blocks concerned."""
    failed = tuple(block_run.id for block_run in failed_block_runs(run)[:MOST_LOGS])
    if run.status == "running":
        under_way = tuple(b.id for b in run.block_runs if b.status in _UNDER_WAY and b.started_at)
        return Needed((failed + under_way)[: 2 * MOST_LOGS], scheduler_log=not run.block_runs)
    if run.status == "completed":
        # Only the guarded block itself was started; those after it share its status and have no log.
        guarded = tuple(b.id for b in run.block_runs if b.status == "condition_failed" and b.started_at)
        passed = tuple(b.id for b in run.block_runs if b.status == "completed")
        return Needed(guarded[:MOST_LOGS], if_cheap=passed)
    return Needed(failed, scheduler_log=run.status in ("failed", "cancelled") and not failed)


def failed_block_runs(run: RunRecord) -> list[BlockRunRecord]:
    """The failed ones, one of each block before further children of a dynamic block."""
    seen: set[str] = set()
    first: list[BlockRunRecord] = []
    others: list[BlockRunRecord] = []
    for block_run in run.block_runs:
        if block_run.status != "failed":
            continue
        base = base_uuid(block_run.block_uuid)
        (others if base in seen else first).append(block_run)
        seen.add(base)
    return first + others


def not_run(run: RunRecord) -> list[str]:
    """The blocks that never started because the run ended before."""
    if run.status not in ("failed", "cancelled"):
        return []
    never = ("initial", "queued", "cancelled", "upstream_failed")
    return [b.block_uuid for b in run.block_runs if b.status in never and b.started_at is None]


def last_line(lines: Sequence[LogLine], *levels: str, begins: str = "") -> LogLine | None:
    """The last record of one of these levels whose message begins so."""
    return next((ln for ln in reversed(lines) if ln.level in levels and ln.message.startswith(begins)), None)


def block_error(lines: Sequence[LogLine]) -> LogLine | None:
    """The record that tells why the block failed: not the last EXCEPTION, which may be a callback's."""
    return next((ln for ln in reversed(lines) if ln.level == "EXCEPTION" and ln.message.startswith(BLOCK_FAILED)), None)

"""A run and its blocks as a function of time.

Nothing happens in the background: as soon as a run starts, everything it is going to do is written down with the times
at which it will do so, and what shows at a moment is what is dated up to it. To cancel is to drop what lies ahead; to
retry is to write a new future.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from mage_mcp.demo.project import Block, Pipeline
from mage_mcp.demo.script import Script, Variables, script_of
from mage_mcp.demo.times import after
from mage_mcp.demo.traces import Raised

START_S = 1.0
"""From a trigger to the start of the run: Mage looks for new runs in a loop."""
STEP_S = 0.5
"""From the end of a block to the start of the next, and to the end of the run."""
RESTART_S = 10.0
"""A dead worker is started again at every loop of the scheduler."""

ENDED = ("completed", "failed", "cancelled", "condition_failed", "upstream_failed")


@dataclass(frozen=True)
class Note:
    """A record in a log."""

    at: datetime
    level: str
    message: str
    error: Raised | None = None
    block_run: "BlockRun | None" = None


@dataclass
class Timeline:
    """Statuses and the times from which they hold, some of them yet to come."""

    events: list[tuple[datetime, str]] = field(default_factory=list)

    def add(self, at: datetime, status: str) -> None:
        self.events.append((at, status))

    def drop_after(self, at: datetime) -> None:
        self.events = [event for event in self.events if event[0] <= at]

    def status(self, now: datetime) -> str:
        return next((status for at, status in reversed(self.events) if at <= now), "initial")

    def last(self, status: str, now: datetime) -> datetime | None:
        return next((at for at, was in reversed(self.events) if was == status and at <= now), None)

    def changed_at(self, now: datetime) -> datetime | None:
        return next((at for at, _ in reversed(self.events) if at <= now), None)


@dataclass(eq=False)
class BlockRun:
    """One block within one run."""

    id: int
    block: Block
    created_at: datetime
    timeline: Timeline = field(default_factory=Timeline)
    notes: list[Note] = field(default_factory=list)
    failure: tuple[datetime, Raised] | None = None
    dies_from: list[datetime] = field(default_factory=list)
    """Starts after which the worker died again and again, till somebody stopped it."""

    def status(self, now: datetime) -> str:
        status = self.timeline.status(now)
        if status == "running" and self.dies_from:
            into_the_loop = (now - self.dies_from[-1]).total_seconds() % RESTART_S
            return "running" if into_the_loop < RESTART_S / 2 else "queued"
        return status

    def restarts(self, now: datetime) -> list[datetime]:
        """When the dying worker was started, the first time and again."""
        found: list[datetime] = []
        for start in self.dies_from:
            stops = (at for at, status in self.timeline.events if at >= start and status in ENDED)
            seconds = (min(next(stops, now), now) - start).total_seconds()
            found += [after(start, number * RESTART_S) for number in range(int(seconds // RESTART_S) + 1)]
        return found

    def error(self, now: datetime) -> Raised | None:
        """What `metrics.error` holds; Mage leaves it there when a retry passes."""
        return self.failure[1] if self.failure is not None and self.failure[0] <= now else None

    def drop_after(self, at: datetime) -> None:
        self.timeline.drop_after(at)
        self.notes = [note for note in self.notes if note.at <= at]

    def stop(self, at: datetime) -> None:
        self.drop_after(at)
        if self.status(at) not in ENDED:
            self.timeline.add(at, "cancelled")


@dataclass(eq=False)
class Run:
    """A pipeline run. `block_runs` come into being when it starts."""

    id: int
    pipeline: Pipeline
    trigger_id: int
    created_at: datetime
    execution_date: datetime
    variables: dict[str, Any]
    event_variables: dict[str, Any] | None
    kwargs: Variables
    """All that the blocks get to see."""
    source_of: Callable[[Block], str]
    well: bool = False
    timeout_s: float | None = None
    timeout_status: str = "failed"
    started_at: datetime | None = None
    timeline: Timeline = field(default_factory=Timeline)
    block_runs: list[BlockRun] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    filed_under: str = ""
    """Where its logs and outputs are since its pipeline was renamed; `lost` while Mage looks for them elsewhere."""
    lost: bool = False

    def status(self, now: datetime) -> str:
        return self.timeline.status(now)

    def blocks_at(self, now: datetime) -> list[BlockRun]:
        return [block_run for block_run in self.block_runs if block_run.created_at <= now]

    def start(self, at: datetime, ids: Iterator[int]) -> None:
        self.started_at = at
        self.timeline.add(at, "running")
        self.block_runs = [BlockRun(next(ids), block, at) for block in self.pipeline.blocks]
        self._alive(at)
        self._proceed(at, {block.uuid for block in self.pipeline.blocks})

    def cancel(self, now: datetime) -> None:
        """Stop what is under way. A run that has ended stays as it is, and Mage says so to nobody."""
        if self.status(now) in ("initial", "running"):
            self.block_runs = self.blocks_at(now)
            self._end(now, "cancelled")

    def interrupt(self, now: datetime) -> None:
        """The server goes down: a run under way fails, as by a trigger's timeout, but no log says why.

        Its blocks are cancelled, none has failed. A run that had not begun has yet to be started.
        """
        if self.status(now) == "running":
            self.block_runs = self.blocks_at(now)
            self._end(now, "failed")
        elif self.status(now) == "initial":
            self._drop_after(now)
            self.started_at, self.block_runs = None, []

    def retry(self, now: datetime, from_block: str | None) -> None:
        """Mage's `retry_blocks`: set blocks back and run on, whatever the state of the run.

        A completed run without a known block only seems to run for a moment, and so does one that never started.
        """
        self.block_runs = self.blocks_at(now)
        if from_block is not None:
            again = self._descendants(from_block)
        elif self.status(now) == "completed":
            again = set()
        else:
            again = {b.block.uuid for b in self.block_runs if b.timeline.status(now) != "completed"}
        for block_run in self.block_runs:
            block_run.drop_after(now)
            if block_run.block.uuid in again:
                block_run.timeline.add(now, "initial")
        self._drop_after(now)
        self.timeline.add(now, "running")
        self._proceed(after(now, START_S), again)

    def _descendants(self, uuid: str) -> set[str]:
        found: set[str] = set()
        for block in self.pipeline.blocks:
            if block.uuid == uuid or found.intersection(block.upstream):
                found.add(block.uuid)
        return found

    def _proceed(self, at: datetime, again: Collection[str]) -> None:
        """Write down what happens from `at` on; the blocks in `again` have yet to run."""
        outcomes: dict[str, tuple[str, datetime]] = {}
        for block_run in self.block_runs:
            block = block_run.block
            if block.uuid not in again:
                outcomes[block.uuid] = (block_run.timeline.status(at), at)
                continue
            before = [outcomes[uuid] for uuid in block.upstream if uuid in outcomes]
            ready = after(max((end for _, end in before), default=at), STEP_S)
            statuses = {status for status, _ in before}
            if "condition_failed" in statuses:
                outcomes[block.uuid] = ("condition_failed", ready)
                block_run.timeline.add(ready, "condition_failed")
            elif statuses <= {"completed"}:
                outcomes[block.uuid] = self._execute(block_run, ready)
            else:
                outcomes[block.uuid] = ("initial", ready)
        self._conclude(at, list(outcomes.values()))

    def _conclude(self, at: datetime, outcomes: list[tuple[str, datetime]]) -> None:
        failed = [end for status, end in outcomes if status == "failed"]
        ends: datetime | None = None
        if failed:
            ends = after(min(failed), STEP_S)
        elif all(status in ("completed", "condition_failed") for status, _ in outcomes):
            ends = after(max((end for _, end in outcomes), default=at), STEP_S)
        limit = after(self.started_at or at, self.timeout_s) if self.timeout_s else None
        if limit is not None and (ends is None or limit < ends):
            self._end(limit, self.timeout_status)
            self.notes.append(Note(limit, "ERROR", f"Pipeline run timed out after {self.timeout_s:g} seconds"))
        elif failed and ends is not None:
            self._end(ends, "failed")
        elif ends is not None:
            self.timeline.add(ends, "completed")

    def _end(self, at: datetime, status: str) -> None:
        for block_run in self.block_runs:
            block_run.stop(at)
        self._drop_after(at)
        self.timeline.add(at, status)

    def _drop_after(self, at: datetime) -> None:
        self.timeline.drop_after(at)
        self.notes = [note for note in self.notes if note.at <= at]

    def _execute(self, block_run: BlockRun, at: datetime) -> tuple[str, datetime]:
        """Write down one execution of a block; how it ends, and when."""
        script = script_of(block_run.block.uuid)
        attempt = sum(status == "running" for _, status in block_run.timeline.events)
        block_run.timeline.add(after(at, -STEP_S / 5), "queued")
        block_run.timeline.add(at, "running")
        self._note_execution(block_run, at)
        if script.ends == "killed" and not self.well:
            block_run.dies_from.append(at)
            return "running", at
        self._say(block_run, at, "Start executing block with BlockExecutor.")
        if (guard := self._failing_guard(block_run.block)) is not None:
            return self._refuse(block_run, at, guard)
        for number, line in enumerate(script.prints(self.kwargs), start=1):
            self._say(block_run, after(at, 0.01 + number / 1000), line)
        end = after(at, script.lasts_s(self.kwargs))
        fails = script.ends == "failed" or (script.ends == "failed once" and attempt == 0)
        if fails and not self.well and script.raises is not None:
            return self._fail(block_run, end, script.raises(self.source_of(block_run.block)))
        return self._complete(block_run, end, script)

    def _failing_guard(self, block: Block) -> Block | None:
        guards = (guard for guard in self.pipeline.conditionals if block.uuid in guard.upstream)
        return next((guard for guard in guards if not script_of(guard.uuid).holds), None)

    def _refuse(self, block_run: BlockRun, at: datetime, guard: Block) -> tuple[str, datetime]:
        uuid = block_run.block.uuid
        self._say(block_run, at, f"Conditional block {guard.uuid} evaluated as False for block {uuid}")
        what_follows = "This block run and downstream blocks will be set as CONDITION_FAILED."
        self._say(block_run, at, f"Conditional block(s) returned false for {uuid}. {what_follows}")
        end = after(at, 0.01)
        block_run.timeline.add(end, "condition_failed")
        return "condition_failed", end

    def _fail(self, block_run: BlockRun, at: datetime, raised: Raised) -> tuple[str, datetime]:
        block_run.timeline.add(at, "failed")
        block_run.failure = block_run.failure or (at, raised)
        tried = "<function BlockExecutor.execute.<locals>.__execute_with_retry at 0x7f40eb517420>"
        warning = f"Exception thrown when attempting to run {tried}, attempt 1 of 1"
        message = f"Failed to execute block {block_run.block.uuid}"
        block_run.notes.append(Note(at, "WARNING", warning, raised, block_run))
        block_run.notes.append(Note(at, "EXCEPTION", message, raised, block_run))
        failed = f"BlockRun {block_run.id} (block_uuid: {block_run.block.uuid}) failed."
        self.notes.append(Note(at, "EXCEPTION", failed, raised, block_run))
        return "failed", at

    def _complete(self, block_run: BlockRun, at: datetime, script: Script) -> tuple[str, datetime]:
        if script.tests:
            self._say(block_run, at, "-" * 62)
            self._say(block_run, at, f"{script.tests}/{script.tests} tests passed.")
        self._say(block_run, at, "Finish executing block with BlockExecutor.")
        block_run.timeline.add(at, "completed")
        completes = f"BlockRun {block_run.id} (block_uuid: {block_run.block.uuid}) completes."
        self.notes.append(Note(at, "INFO", completes, None, block_run))
        self._alive(at)
        return "completed", at

    def _say(self, block_run: BlockRun, at: datetime, message: str) -> None:
        block_run.notes.append(Note(at, "INFO", message, None, block_run))

    def _note_execution(self, block_run: BlockRun, at: datetime) -> None:
        what = f"pipeline {self.pipeline.uuid} block {block_run.block.uuid}"
        execute = f"Execute PipelineRun {self.id}, BlockRun {block_run.id}: {what}"
        self.notes.append(Note(at, "INFO", execute, None, block_run))

    def _alive(self, at: datetime) -> None:
        alive = f"Pipeline {self.pipeline.uuid} for run {self.id} in schedule {self.trigger_id} is alive."
        self.notes.append(Note(at, "INFO", alive))

"""A real Mage on which every kind of failure has happened once: `tests/failures/kinds.py` says which there are."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mage_mcp.demo.project import PIPELINES
from tests.failures.kinds import IO_PROFILE, KINDS, Kind
from tests.lab.definitions import LabPipeline
from tests.lab.mage import RealMage
from tests.lab.seed import IO_CONFIG, create_triggers, hold_workers, write_file, write_project
from tests.lab.wire import Wire

RUNNABLE = {name: kind for name, kind in KINDS.items() if not kind.needs}
"""The kinds that need nothing beyond Mage itself."""

_SLEEPER = next(pipeline for pipeline in PIPELINES if pipeline.uuid == "slow_report")
FEW_AT_ONCE = tuple(
    LabPipeline(f"one_for_{name}", "One run at a time.", _SLEEPER.blocks, extra={"concurrency_config": config})
    for name, config in {
        "each_trigger": {"pipeline_run_limit": 1},
        "all_triggers": {"pipeline_run_limit_all_triggers": 1},
        "now_or_never": {"pipeline_run_limit_all_triggers": 1, "on_pipeline_run_limit_reached": "skip"},
    }.items()
)
"""Pipelines without triggers that sleep for `sleep_seconds`."""
_PIPELINES = (_SLEEPER, *FEW_AT_ONCE, *(kind.pipeline for kind in RUNNABLE.values()))
_AT_ONCE = 20
"""Blocks that Mage runs side by side. The sleeper holds one place for good, four are those of workers that die."""
_NEED_ROOM = (
    "trigger_timeout",
    "trigger_timeout_cancelled",
    "block_timeout",
    "os_exit_timeout",
    "late_retry",
    "branch_cancelled",
    "two_branches",
    "two_branches_allowed",
    "dynamic_child",
    "dynamic_child_plain",
)
"""Kinds that only come out right where no block has to wait for a place; they go first."""
_STARTS = 3
"""So often is seen what never ends, before anybody looks at it."""
_SIGNS = ("Start executing block", "Failed to execute streaming pipeline")


@dataclass(frozen=True)
class FailedRuns:
    """A real Mage and the run of each kind on it. The runs of kinds that never end are running still."""

    mage: RealMage
    wire: Wire
    triggers: Mapping[str, int]
    runs: Mapping[str, int]

    @property
    def url(self) -> str:
        return self.mage.url


def write_failing(folder: Path) -> None:
    """A project with the pipelines of all kinds, the one of the sleeper, and those that let few runs go on."""
    write_project(folder, _PIPELINES, settings={"queue_config": {"concurrency": _AT_ONCE}})
    write_file(folder / "io_config.yaml", IO_CONFIG + IO_PROFILE)
    for kind in RUNNABLE.values():
        for path, text in kind.every_file.items():
            write_file(folder / path, text.replace("{project}", folder.name))
        for block in kind.pipeline.every_block:
            if block.uuid in kind.absent:
                (folder / block.file_path).unlink()


@contextmanager
def all_failed() -> Iterator[FailedRuns]:
    """Run every kind once, all at the same time, and cancel at the end what never ends."""
    with RealMage.start(write_failing) as mage, Wire(mage.url) as wire:
        ids = create_triggers(wire, _PIPELINES)
        triggers = {name: ids[kind.pipeline.uuid][0] for name, kind in RUNNABLE.items()}
        with hold_workers(wire, ids[_SLEEPER.uuid][0]):
            runs = {name: wire.trigger(triggers[name])["id"] for name in _NEED_ROOM}
            wire.wait(run for name, run in runs.items() if name != "two_branches_allowed")  # which takes its time
            runs |= {name: wire.trigger(trigger)["id"] for name, trigger in triggers.items() if name not in runs}
            _act(wire, runs)
        yield FailedRuns(mage, wire, triggers, runs)
        for name, kind in RUNNABLE.items():
            if not kind.ends:
                wire.put(f"/api/pipeline_runs/{runs[name]}", {"pipeline_run": {"status": "cancelled"}})


def _act(wire: Wire, runs: Mapping[str, int]) -> None:
    """See every run to its end, or long enough."""
    for name in _named(action="cancel while running"):
        wire.wait_for_block(runs[name], RUNNABLE[name].pipeline.blocks[0].uuid, "running")
        wire.put(f"/api/pipeline_runs/{runs[name]}", {"pipeline_run": {"status": "cancelled"}})
    for name in _named(action="retry after the end"):
        wire.wait([runs[name]])
        _retry(wire, runs[name])
    for name in _named(action="retry after the timeout"):
        (trigger,) = RUNNABLE[name].pipeline.triggers
        started = datetime.fromisoformat(wire.run(runs[name])["started_at"]).replace(tzinfo=UTC)
        over = started + timedelta(seconds=trigger.settings["timeout"] + 1)
        time.sleep(max(0.0, (over - datetime.now(UTC)).total_seconds()))
        _retry(wire, runs[name])
    wire.wait(runs[name] for name, kind in RUNNABLE.items() if kind.ends)
    for name, kind in RUNNABLE.items():
        if not kind.ends:
            _wait_for_starts(wire, kind, runs[name])


def _retry(wire: Wire, run: int) -> None:
    wire.put(f"/api/pipeline_runs/{run}", {"pipeline_run": {"pipeline_run_action": "retry_blocks"}})


def _named(*, action: str) -> list[str]:
    return [name for name, kind in RUNNABLE.items() if kind.action == action]


def _wait_for_starts(wire: Wire, kind: Kind, run: int, timeout_s: float = 60) -> None:
    give_up = time.monotonic() + timeout_s
    while _starts(wire, kind, run) < _STARTS:
        if time.monotonic() > give_up:
            raise TimeoutError(f"after {timeout_s} s {kind.name} has not begun {_STARTS} times")
        time.sleep(0.5)


def _starts(wire: Wire, kind: Kind, run: int) -> int:
    """How often the last block that was begun has begun, or the streaming pipeline."""
    logs = wire.get(f"/api/pipelines/{kind.pipeline.uuid}/logs", **{"pipeline_run_id[]": run})["logs"][0]
    files = [file["content"] for part in ("block_run_logs", "pipeline_run_logs") for file in logs[part]]
    return max((text.count(f'"message": "{sign}') for text in files for sign in _SIGNS), default=0)

"""Put the demo project into a real Mage: files before it starts, triggers and a little history afterwards."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mage_mcp.demo.project import PIPELINES, Block, Pipeline, Trigger
from tests.lab.definitions import LabBlock, LabPipeline
from tests.lab.mage import EMAIL, INTERVAL_S, PASSWORD, RealMage
from tests.lab.wire import Wire

# What has run once before the tests begin: passes, fails, passes with branches, passes with a block skipped, fails.
HISTORY = ("sales_daily", "orders_refresh", "customer_360", "guarded_export", "nested_import")

FOLDERS = (
    "callbacks",
    "charts",
    "conditionals",
    "custom",
    "data_exporters",
    "data_loaders",
    "dbt",
    "extensions",
    "interactions",
    "pipelines",
    "scratchpads",
    "sensors",
    "transformers",
    "utils",
)

_PATIENCE_S = 10.0
_MOST_NUDGES = 5

IO_CONFIG = "version: 0.1.1\ndefault: {}\n"
METADATA = {
    "project_type": "standalone",
    "project_uuid": "5eed0000000000000000000000005eed",
    "help_improve_mage": False,  # else it reports what it does to its makers
    "queue_config": {"concurrency": 5},  # one of them is taken: see hold_workers
    "notification_config": {"alert_on": []},
}


def start_seeded(*, auth: bool = False, interval: float = INTERVAL_S, history: bool = True) -> RealMage:
    """A real Mage with the demo project, its triggers and, if wanted, one ended run of each pipeline in HISTORY."""
    mage = RealMage.start(write_project, auth=auth, interval=interval)
    try:
        with Wire(mage.url) as wire:
            if auth:
                wire.login(EMAIL, PASSWORD)
            ids = create_triggers(wire)
            if history:
                with hold_workers(wire, ids["slow_report"][0]):
                    wire.wait([wire.trigger(ids[uuid][0])["id"] for uuid in HISTORY])
    except BaseException:
        mage.stop()
        raise
    return mage


@contextmanager
def hold_workers(wire: Wire, slow_schedule: int) -> Iterator[None]:
    """Keep Mage's worker pool alive for as long as its scheduler lives. Run at least one other block meanwhile.

    Mage's queue has a race: the pool ends when it is idle, and a job that is queued at that moment waits until another
    one comes; a run then hangs with a block `queued` (3 of 300 short runs at an interval of 0.3 s, 1 of 80 at 0.1 and
    at 1.5; no interval is proof against it, only luckier). A block that sleeps for a year keeps the pool from ever
    being idle: 0 of 400. When its run has been deleted, nothing but a sleeping process is left of it.

    Blocks that run later must have later ids, and be there before the deletion: an id that is given out a second time
    would hang too, for Mage takes that block to be the sleeper, under way already.
    """
    sleeper = wire.trigger(slow_schedule, variables={"sleep_seconds": 31_536_000})["id"]
    nudges = _nudged_till_it_runs(wire, slow_schedule, sleeper)
    yield
    wire.wait(nudges)
    for run in (*nudges, sleeper):
        wire.delete(f"/api/pipeline_runs/{run}")


def _nudged_till_it_runs(wire: Wire, slow_schedule: int, sleeper: int) -> list[int]:
    """The sleeper may be the first to lose the race, 2 of 12 times on a busy machine: another block frees it."""
    nudges: list[int] = []
    while True:
        try:
            wire.wait_for_block(sleeper, "sleep_a_while", "running", timeout_s=_PATIENCE_S)
        except TimeoutError:
            if len(nudges) == _MOST_NUDGES:
                raise
            nudges.append(wire.trigger(slow_schedule, variables={"sleep_seconds": 0})["id"])
        else:
            return nudges


def write_project(
    folder: Path, pipelines: tuple[Pipeline, ...] = PIPELINES, *, settings: Mapping[str, Any] | None = None
) -> None:
    """Write a Mage project with these pipelines. `settings` go into its own metadata.yaml."""
    for name in FOLDERS:
        write_file(folder / name / "__init__.py", "")
    write_file(folder / "__init__.py", "")
    write_file(folder / "requirements.txt", "")
    write_file(folder / "io_config.yaml", IO_CONFIG)
    write_file(folder / "metadata.yaml", _yaml({**METADATA, **(settings or {})}))
    for pipeline in pipelines:
        home = folder / "pipelines" / pipeline.uuid
        write_file(home / "__init__.py", "")
        write_file(home / "metadata.yaml", _yaml(_pipeline(pipeline)))
        for block in (*pipeline.blocks, *_callbacks(pipeline), *pipeline.conditionals):
            write_file(folder / block.file_path, block.source)


def create_triggers(wire: Wire, pipelines: tuple[Pipeline, ...] = PIPELINES) -> dict[str, list[int]]:
    """Create every trigger of the pipelines, in their order; the ids by pipeline."""
    return {
        pipeline.uuid: [create_trigger(wire, pipeline.uuid, trigger) for trigger in pipeline.triggers]
        for pipeline in pipelines
    }


def create_trigger(wire: Wire, pipeline: str, trigger: Trigger) -> int:
    """Create a trigger; its id."""
    body = {
        "name": trigger.name,
        "schedule_type": trigger.schedule_type,
        "schedule_interval": trigger.schedule_interval or None,
        "status": trigger.status,
        "variables": dict(trigger.variables),
        "settings": dict(trigger.settings),
        "description": trigger.description or None,
    }
    made = wire.post(f"/api/pipelines/{pipeline}/pipeline_schedules", {"pipeline_schedule": body})
    schedule_id: int = made["pipeline_schedule"]["id"]
    if trigger.tags:  # refused on creation
        wire.put(f"/api/pipeline_schedules/{schedule_id}", {"pipeline_schedule": {"tags": list(trigger.tags)}})
    return schedule_id


def _pipeline(pipeline: Pipeline) -> dict[str, Any]:
    return {
        "blocks": [_block(block, pipeline.downstream(block.uuid)) for block in pipeline.blocks],
        "callbacks": [_block(block, ()) for block in _callbacks(pipeline)],
        "conditionals": [_block(block, ()) for block in pipeline.conditionals],
        "created_at": "2026-01-15 09:00:00.000000+00:00",
        "data_integration": None,
        "description": pipeline.description,
        "extensions": {},
        "name": pipeline.name or pipeline.uuid,
        "tags": list(pipeline.tags),
        "type": pipeline.type,
        "uuid": pipeline.uuid,
        "variables": dict(pipeline.variables),
        "widgets": [],
        **(pipeline.extra if isinstance(pipeline, LabPipeline) else {}),
    }


def _callbacks(pipeline: Pipeline) -> tuple[Block, ...]:
    return pipeline.callbacks if isinstance(pipeline, LabPipeline) else ()


def _block(block: Block, downstream: tuple[str, ...]) -> dict[str, Any]:
    return {
        "all_upstream_blocks_executed": not block.upstream,
        "configuration": dict(block.configuration),
        "downstream_blocks": list(downstream),
        "executor_type": "local_python",
        "language": block.language,
        "name": block.name or block.uuid,
        "status": "not_executed",
        "type": block.type,
        "upstream_blocks": list(block.upstream),
        "uuid": block.uuid,
        **(block.extra if isinstance(block, LabBlock) else {}),
    }


def write_file(path: Path, text: str) -> None:
    """Write a file of the project, with its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _yaml(value: dict[str, Any]) -> str:
    # JSON is YAML. Mage writes its own style over it at its first change.
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"

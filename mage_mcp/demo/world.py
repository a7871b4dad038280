"""The state of the simulated Mage: one project, its triggers and runs, at the time that its clock shows."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import count
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid5

from mage_mcp.demo.project import PIPELINES, Block, Pipeline, Trigger
from mage_mcp.demo.runs import START_S, Run
from mage_mcp.demo.script import DAY, HISTORY
from mage_mcp.demo.times import Clock, after, partition

if TYPE_CHECKING:
    from mage_mcp.demo.pro import Pro

PROJECT = "demo_project"
REPO_PATH = f"/home/src/{PROJECT}"
VARIABLES_DIR = f"/home/src/mage_data/{PROJECT}"
PROJECT_UUID = "3f1c0ffee5ca1ab1ed0ddba11deadbea"
VERSION = "0.9.80"
BEFORE_ALL_S = 30 * DAY
"""Files and triggers are this old when the world begins."""


def hex_id(*parts: object) -> str:
    """Mage draws these at random; here the same world has the same ones."""
    return uuid5(NAMESPACE_URL, "/".join(map(str, parts))).hex


@dataclass
class TriggerRow:
    """A pipeline schedule as stored. What was never given is None."""

    id: int
    pipeline_uuid: str
    name: str
    token: str
    created_at: datetime
    updated_at: datetime
    schedule_type: str | None = None
    schedule_interval: str | None = None
    status: str = "inactive"
    description: str | None = None
    variables: dict[str, Any] | None = None
    settings: dict[str, Any] | None = None
    sla: int | None = None
    start_time: datetime | None = None
    last_enabled_at: datetime | None = None
    tags: list[str] = field(default_factory=list)


@dataclass
class Backfill:
    """A backfill as stored; `fields` are what was written to it."""

    id: int
    pipeline_uuid: str
    created_at: datetime
    fields: dict[str, Any] = field(default_factory=dict)
    status: str | None = None
    trigger_id: int | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    settled_at: datetime | None = None
    """When its status was last set otherwise than by what its runs do since."""
    run_ids: set[int] = field(default_factory=set)


@dataclass
class SourceFile:
    content: str
    modified_at: datetime

    @property
    def size(self) -> int:
        return len(self.content.encode())


class World:
    """The project and everything that happened in it. Tests read and advance it directly.

    `login` (email, password) switches authentication on: then a key and a session are asked for, as a Mage with
    REQUIRE_USER_AUTHENTICATION does. Without `history` no run has happened yet.
    """

    def __init__(
        self, clock: Clock | None = None, *, login: tuple[str, str] | None = None, history: bool = True
    ) -> None:
        self.clock = clock or Clock()
        self.login = login
        self.pipelines: dict[str, Pipeline] = {pipeline.uuid: pipeline for pipeline in PIPELINES}
        self.listed_blocks: dict[str, tuple[Block, ...]] = {}
        """What the list of pipelines still shows: writing a block does not reach it, writing its pipeline does."""
        self.secrets: dict[str, str] = {}
        self.triggers: dict[int, TriggerRow] = {}
        self.runs: dict[int, Run] = {}
        self.backfills: dict[int, Backfill] = {}
        self.files: dict[str, SourceFile] = {}
        self.requests: list[tuple[str, str]] = []
        """Method and path, as sent, of every request so far."""
        self.poison: dict[tuple[str, int], str] = {}
        """Rows with a value that Mage cannot read back: from then on whatever touches them answers an error."""
        self.sessions: dict[str, datetime] = {}
        """Tokens and when they end."""
        self.not_found = "Record not found."
        """Mage changes this text in place after a failed login, for every later 404."""
        self.pro: Pro | None = None
        """What a main project of Mage Pro has, and a standalone one has not."""
        self.is_workspace = False
        """Of a main project that stands one part of the address higher."""
        self._block_run_ids = count(1)
        self._tags_left: dict[int, list[str]] = {}
        began = self.clock.now()
        self._fill(after(began, -BEFORE_ALL_S))
        if history:
            self._live_through_history(began)

    @property
    def now(self) -> datetime:
        return self.clock.now()

    def _fill(self, at: datetime) -> None:
        for pipeline in PIPELINES:
            for block in pipeline.blocks + pipeline.conditionals:
                self.files[block.file_path] = SourceFile(block.source, at)
            for trigger in pipeline.triggers:
                self._add_seeded(pipeline, trigger, at)
        settings = f"project_type: standalone\nproject_uuid: {PROJECT_UUID}\nhelp_improve_mage: false\n"
        self.files["metadata.yaml"] = SourceFile(settings, at)

    def _add_seeded(self, pipeline: Pipeline, trigger: Trigger, at: datetime) -> None:
        row = self.add_trigger(pipeline.uuid, trigger.name, at=at)
        row.schedule_type, row.schedule_interval = trigger.schedule_type, trigger.schedule_interval or None
        row.status, row.description = trigger.status, trigger.description or None
        row.variables, row.settings = dict(trigger.variables) or None, dict(trigger.settings) or None
        row.tags = list(trigger.tags)
        row.last_enabled_at = at if trigger.status == "active" else None

    def _live_through_history(self, began: datetime) -> None:
        by_name = {trigger.name: trigger for trigger in self.triggers.values()}
        for past in sorted(HISTORY, key=lambda past: -past.ago_s):
            self.create_run(by_name[past.trigger], at=after(began, -past.ago_s), well=past.well)

    def source_of(self, block: Block) -> str:
        """Its file's text; nothing where there is none."""
        file = self.files.get(block.file_path)
        return file.content if file else ""

    def write_file(self, path: str, content: str) -> None:
        """Change a file of the project, as somebody with an editor does."""
        self.files[path] = SourceFile(content, self.now)

    def is_folder(self, path: str) -> bool:
        return any(file.startswith(f"{path}/") for file in self.files)

    def rename_pipeline(self, old: str, new: Pipeline) -> None:
        """Triggers and runs go along; what the runs left in files does not."""
        del self.pipelines[old]
        self.pipelines[new.uuid] = new
        for trigger in self.triggers.values():
            trigger.pipeline_uuid = new.uuid if trigger.pipeline_uuid == old else trigger.pipeline_uuid
        for backfill in self.backfills.values():
            backfill.pipeline_uuid = new.uuid if backfill.pipeline_uuid == old else backfill.pipeline_uuid
        for run in self.runs.values():
            if run.pipeline.uuid == old:
                run.pipeline = replace(run.pipeline, uuid=new.uuid)
                run.filed_under = run.filed_under or old
                run.lost = run.filed_under != new.uuid

    def add_trigger(self, pipeline_uuid: str, name: str, *, at: datetime | None = None) -> TriggerRow:
        # SQLite gives the id of the last deleted trigger to the next one, and what it was tagged with goes along.
        number, at = max(self.triggers, default=0) + 1, at or self.now
        row = TriggerRow(number, pipeline_uuid, name, hex_id("trigger", number), created_at=at, updated_at=at)
        row.tags = self._tags_left.pop(number, [])
        self.triggers[number] = row
        return row

    def switch(self, trigger: TriggerRow, status: str) -> None:
        """Activate or deactivate; runs that waited for an inactive trigger start as soon as it is active."""
        if status == "active" and trigger.status == "inactive":
            trigger.last_enabled_at = self.now
        trigger.status = status
        if status == "active":
            self._start_waiting(self.now, trigger)

    def go_down(self) -> None:
        """The server stops, or is stopped, without a word to the runs that are under way."""
        for run in self.runs.values():
            run.interrupt(self.now)

    def come_up(self, at: datetime) -> None:
        """The server will be back at that time, and start what waits."""
        for trigger in self.triggers.values():
            self._start_waiting(at, trigger)

    def _start_waiting(self, at: datetime, trigger: TriggerRow) -> None:
        for run in self.runs.values():
            if run.trigger_id == trigger.id and run.started_at is None and run.status(self.now) == "initial":
                self._start(run, trigger, at)

    def create_run(
        self,
        trigger: TriggerRow,
        variables: Mapping[str, Any] | None = None,
        event_variables: dict[str, Any] | None = None,
        *,
        execution_date: datetime | None = None,
        at: datetime | None = None,
        well: bool = False,
    ) -> Run:
        """A new run. It stays `initial` for ever while its trigger is inactive."""
        # SQLite gives the id of the last deleted run to the next one.
        number, at = max(self.runs, default=0) + 1, at or self.now
        # Runs made in the same instant would share logs and outputs; the id keeps them apart.
        execution_date = execution_date or after(at, number / 1_000_000)
        settings = trigger.settings or {}
        given = {**(variables or {}), "execution_partition": partition(trigger.id, execution_date)}
        run = Run(
            number,
            self.pipelines[trigger.pipeline_uuid],
            trigger.id,
            created_at=at,
            execution_date=execution_date,
            variables=given,
            event_variables=event_variables,
            kwargs=self._kwargs(trigger, number, given, event_variables or {}),
            source_of=self.source_of,
            well=well,
            timeout_s=settings.get("timeout"),
            timeout_status=settings.get("timeout_status") or "failed",
        )
        self.runs[number] = run
        if trigger.status == "active":
            self._start(run, trigger, at)
        return run

    def _start(self, run: Run, trigger: TriggerRow, at: datetime) -> None:
        # Once a row is poisoned the scheduler crashes at every loop, and nothing starts any more.
        if not self.poison and trigger.status == "active":
            run.start(after(at, START_S), self._block_run_ids)

    def _kwargs(
        self, trigger: TriggerRow, run_id: int, variables: Mapping[str, Any], event_variables: Mapping[str, Any]
    ) -> dict[str, Any]:
        """What blocks get: event variables fill only the names that are free."""
        mage = {"env": "prod", "trigger_name": trigger.name, "pipeline_run_id": run_id}
        of_pipeline = self.pipelines[trigger.pipeline_uuid].variables
        return {**event_variables, **of_pipeline, **(trigger.variables or {}), **mage, **variables}

    def delete_trigger(self, trigger: TriggerRow) -> None:
        """Its runs stay, but belong to none: no list shows them and their details answer an error."""
        del self.triggers[trigger.id]
        self._tags_left[trigger.id] = trigger.tags
        for run in self.runs_of(trigger.id):
            run.trigger_id = 0
        for backfill in self.backfills.values():
            backfill.trigger_id = None if backfill.trigger_id == trigger.id else backfill.trigger_id

    def runs_of(self, trigger_id: int) -> list[Run]:
        return [run for run in self.runs.values() if run.trigger_id == trigger_id]

    def expire_sessions(self) -> None:
        """Make every token given out so far an expired one."""
        self.sessions = dict.fromkeys(self.sessions, self.now)

    def is_open(self, token: str) -> bool | None:
        """Whether a session is still good; None for a token that was never given out."""
        expires = self.sessions.get(token)
        return None if expires is None else self.now < expires

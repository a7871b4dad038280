"""A real Mage with many pipelines and many runs: project files on disk, runs straight in its database.

Mage makes its tables when it first starts, so their shape is taken from a Mage that runs already; the filled database
is in place before the big one starts.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from mage_mcp.demo.project import Block, Pipeline
from tests.lab.mage import RealMage
from tests.lab.seed import write_project

RUNS_END = datetime(2026, 11, 1)  # noqa: DTZ001 - Mage's tables hold UTC without saying so
INTERVAL_S = 10.0
"""Of Mage's scheduler, its own default: it has nothing to do here, and each of its loops disturbs a measurement."""

_BLOCKS = (
    Block("big_load", "data_loader", "@data_loader\ndef load(*args, **kwargs):\n    return [{'n': 3, 'd': 0}]\n"),
    Block(
        "big_divide",
        "transformer",
        "@transformer\ndef transform(rows, *args, **kwargs):\n    return [row['n'] / row['d'] for row in rows]\n",
        ("big_load",),
    ),
    Block(
        "big_export", "data_exporter", "@data_exporter\ndef export(rows, *args, **kwargs):\n    pass\n", ("big_divide",)
    ),
)
_ERRORS = (
    ("ZeroDivisionError", "division by zero"),
    ("KeyError", "'amount'"),
    ("ValueError", "bad row in input: {'n': 3, 'd': 0, 'name': 'a name of the ordinary length'}"),
    ("FileNotFoundError", "[Errno 2] No such file or directory: 'input/orders.csv'"),
    ("ConnectionError", "could not connect to warehouse.example.com:5432 within 30 s"),
)
_SITE = "/usr/local/lib/python3.11/site-packages/mage_ai"
_STACK = 48  # frames of Mage's own that it stores with every error


@dataclass(frozen=True)
class Size:
    """How much is in a Mage. The runs are spread evenly over the pipelines, a quarter of them failed."""

    pipelines: int
    runs: int


def start_big(size: Size, like: RealMage) -> RealMage:
    """Start a Mage of this size. `like` is a Mage that runs; only the shape of its tables is taken."""
    pipelines = tuple(_pipeline(i) for i in range(size.pipelines))

    def prepare(project: Path) -> None:
        write_project(project, pipelines)
        database = _database(project.parent / "data", project)
        database.parent.mkdir(parents=True)
        with closing(sqlite3.connect(database)) as db, db:
            _copy_empty(_database(like.data_dir, like.project_dir), db)
            _fill(db, size, str(project))

    return RealMage.start(prepare, interval=INTERVAL_S)


def _database(data: Path, project: Path) -> Path:
    return data / project.name / "mage-ai.db"


def _pipeline(i: int) -> Pipeline:
    return Pipeline(
        uuid=_uuid(i),
        description=f"Loads, divides and exports the numbers of customer {i:04d}",
        tags=("big", f"group_{i % 5}"),
        blocks=_BLOCKS,
        variables={"region": "emea", "customer": i},
    )


def _uuid(i: int) -> str:
    return f"big_{i:04d}"


def _copy_empty(source: Path, db: sqlite3.Connection) -> None:
    """The same tables, without a pipeline, trigger or run in them."""
    with closing(sqlite3.connect(source)) as running:
        running.backup(db)
    for name in ("block_run", "pipeline_run", "tag_association", "pipeline_schedule"):
        db.execute(f"delete from {name}")


def _fill(db: sqlite3.Connection, size: Size, project: str) -> None:
    """One trigger for each pipeline, and the runs: the one with the highest id is the latest."""
    made = _text(RUNS_END - timedelta(minutes=size.runs + 1))
    _insert(
        db,
        "pipeline_schedule (id, created_at, updated_at, name, pipeline_uuid, schedule_type, status, token, settings,"
        " variables, repo_path)",
        (
            (i + 1, made, made, f"{_uuid(i)}_api", _uuid(i), "API", "ACTIVE", f"{i:032x}", "{}", "{}", project)
            for i in range(size.pipelines)
        ),
    )
    _insert(
        db,
        "pipeline_run (id, created_at, updated_at, pipeline_schedule_id, pipeline_uuid, execution_date, status,"
        " started_at, completed_at, variables, passed_sla, executor_type)",
        (_run(i, size) for i in range(size.runs)),
    )
    _insert(
        db,
        "block_run (created_at, updated_at, pipeline_run_id, block_uuid, status, started_at, completed_at, metrics)",
        (row for i in range(size.runs) for row in _block_runs(i, size)),
    )


def _insert(db: sqlite3.Connection, into: str, rows: Iterator[tuple[Any, ...]]) -> None:
    values = ", ".join("?" * (into.count(",") + 1))
    db.executemany(f"insert into {into} values ({values})", rows)


def _run(i: int, size: Size) -> tuple[Any, ...]:
    which, began = i % size.pipelines, _began(i, size)
    ended = began + timedelta(seconds=9)
    partition = f"{which + 1}/{began:%Y%m%dT%H%M%S_%f}"
    return (
        i + 1,
        _text(began),
        _text(ended),
        which + 1,
        _uuid(which),
        _text(began),
        "FAILED" if _fails(i, size) else "COMPLETED",
        _text(began),
        None if _fails(i, size) else _text(ended),
        json.dumps({"execution_partition": partition}),
        0,
        "LOCAL_PYTHON",
    )


def _block_runs(i: int, size: Size) -> Iterator[tuple[Any, ...]]:
    failed = _fails(i, size)
    outcomes = ("COMPLETED", "FAILED", "CANCELLED") if failed else ("COMPLETED",) * 3
    for j, (block, status) in enumerate(zip(_BLOCKS, outcomes, strict=True)):
        began = _began(i, size) + timedelta(seconds=3 * j)
        ended = _text(began + timedelta(seconds=2))
        never = status == "CANCELLED"
        metrics = _metrics(*_ERRORS[i // 4 % len(_ERRORS)]) if status == "FAILED" else None
        completed = ended if status == "COMPLETED" else None
        yield (_text(began), ended, i + 1, block.uuid, status, None if never else _text(began), completed, metrics)


def _began(i: int, size: Size) -> datetime:
    return RUNS_END - timedelta(minutes=size.runs - i)


def _fails(i: int, size: Size) -> bool:
    """A quarter of all runs, and of each pipeline's: its own latest is a failed one for every fourth pipeline."""
    return (i + i // size.pipelines) % 4 == 3


def _metrics(kind: str, message: str) -> str:
    """What Mage stores with a failed block: some 10 KB."""
    frame = '  File "{0}/{1}.py", line {2}, in {3}\n    return self.{3}(*args, **kwargs)\n'
    stack = [frame.format(_SITE, f"orchestration/module_{i:02d}", 100 + i, f"function_{i:02d}") for i in range(_STACK)]
    raised = "".join(frame.format(_SITE, "data_preparation/models/block/__init__", 1000 + i, "run") for i in range(16))
    traceback = (
        f'Traceback (most recent call last):\n{raised}  File "<string>", line 3, in transform\n{kind}: {message}\n'
    )
    return json.dumps({"error": {"error": message, "errors": stack, "message": traceback}})


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f")

"""Pipelines that only the facts need. What their blocks did is read from files they leave, not from Mage."""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent, indent
from typing import Any

from mage_mcp.demo.project import PIPELINES, Block, Pipeline, Trigger
from tests.lab.definitions import LabBlock
from tests.lab.seed import write_project
from tests.lab.wire import Wire

SHAPES = {
    "data_frame": "pd.DataFrame({'name': ['ada', None], 'born': [1815, 1906], 'share': [0.5, float('nan')]})",
    "list_of_dicts": "[{'name': 'ada', 'born': 1815}, {'name': 'grace', 'born': 1906}]",
    "dictionary": "{'rows': 2, 'nested': {'deep': [1, 2]}}",
    "text": "'two words'",
    "number": "7",
    "nothing": "None",
    "numbers": "[1, 2]",
}
MANY = 21  # Mage answers with the logs of 20 blocks at most

HEAD = """\
import json
import os
import tempfile
import time

import pandas as pd
if '{kind}' not in globals():
    from mage_ai.data_preparation.decorators import {kind}


@{kind}
def work(*args, **kwargs):
    def path(name):
        return os.path.join(tempfile.gettempdir(), f"{{kwargs['pipeline_run_id']}}_{{name}}")

"""

# What the block was given, without what JSON cannot hold.
TELL = """
known = {name: value for name, value in kwargs.items() if isinstance(value, (str, int, float, dict, list))}
with open(path('told.part'), 'w') as file:
    json.dump(known, file, default=str)
os.replace(path('told.part'), path('told.json'))
"""

# Notes each time it runs.
COUNT = """
with open(path('ran_{name}'), 'a') as file:
    file.write('x')
attempt = os.path.getsize(path('ran_{name}'))
"""

# Fails at first, a second after the block beside it has begun.
FAIL_ONCE = """
if attempt == 1:
    while not os.path.exists(path('ran_{beside}')):
        time.sleep(0.1)
    time.sleep(1)
    raise RuntimeError('not yet')
"""

# Goes on until the block beside it has had its second attempt.
LINGER = """
while not os.path.exists(path('ran_{beside}')) or os.path.getsize(path('ran_{beside}')) < 2:
    time.sleep(0.1)
"""

# Takes longer than any timeout here, unless it fails at its first attempt.
TAKE_LONG = "time.sleep(60)\n"
FAIL_FIRST = "if attempt == 1:\n    raise RuntimeError('not yet')\n"
LIMIT_S = 2


def _block(uuid: str, kind: str, body: str, *upstream: str, **more: Any) -> Block:
    source = HEAD.format(kind=kind) + indent(dedent(body).strip(), "    ") + "\n"
    return LabBlock(uuid, kind, source, upstream, extra=more)


def _counting(uuid: str, kind: str, *upstream: str, body: str = "", beside: str = "", **more: Any) -> Block:
    body = (COUNT + body).format(name=uuid.replace("/", "_"), beside=beside) + "return 1"
    return _block(uuid, kind, body, *upstream, **more)


def _pipeline(uuid: str, *blocks: Block, variables: dict[str, Any] | None = None, **settings: Any) -> Pipeline:
    triggers = (Trigger(f"{uuid}_api", "api", settings=settings),)
    return Pipeline(uuid, "Only for the facts.", blocks, variables=variables or {}, triggers=triggers)


FACTS: tuple[Pipeline, ...] = (
    _pipeline("fact_tell", _block("tell", "data_loader", TELL), variables={"region": "global", "kept": "global"}),
    _pipeline(  # left fails at first, when side has completed; sub/join needs both
        "fact_tree",
        _counting("sub/root", "data_loader"),
        _counting("side", "data_loader"),
        _counting("left", "transformer", "sub/root", body=FAIL_ONCE, beside="side"),
        _counting("sub/join", "data_exporter", "left", "side"),
    ),
    _pipeline(  # the same, but torn_side is still running when torn_left fails, and so is cancelled with it
        "fact_torn",
        _counting("torn_side", "data_loader", body=LINGER, beside="torn_left"),
        _counting("torn_left", "data_loader", body=FAIL_ONCE, beside="torn_side"),
        _counting("torn_join", "data_exporter", "torn_left", "torn_side"),
    ),
    _pipeline(
        "fact_shapes",
        *(_block(f"shape_{name}", "data_loader", f"return {value}") for name, value in SHAPES.items()),
    ),
    _pipeline("fact_late", _counting("late", "data_loader", body=TAKE_LONG), timeout=LIMIT_S),
    _pipeline("fact_limited", _counting("limited", "data_loader", body=TAKE_LONG, timeout=LIMIT_S)),
    _pipeline("fact_failing", _counting("failing", "data_loader", body=FAIL_FIRST + TAKE_LONG, timeout=LIMIT_S)),
    _pipeline("fact_many", *(_block(f"tiny_{n:02}", "data_loader", f"print('tiny {n}')") for n in range(MANY))),
)
ALL = (*PIPELINES, *FACTS)


def write_facts(folder: Path) -> None:
    """The demo project and the pipelines of the facts."""
    write_project(folder, ALL, settings={"queue_config": {"concurrency": 12}})


@dataclass(frozen=True)
class Facts:
    """A real Mage with everything started whose end the facts want to see, and a wire to it."""

    url: str
    wire: Wire
    triggers: dict[str, list[int]]
    scratch: Path
    runs: dict[str, int] = field(default_factory=dict)

    def ran(self, run_id: int) -> dict[str, int]:
        """How often each block of a counting pipeline really ran."""
        found = self.scratch.glob(f"{run_id}_ran_*")
        return {path.name.split("_ran_")[1]: path.stat().st_size for path in found}

    def told(self, run_id: int) -> dict[str, Any]:
        """What the block of `fact_tell` was given."""
        given: dict[str, Any] = json.loads((self.scratch / f"{run_id}_told.json").read_text())
        return given

    def ended(self, name: str) -> dict[str, Any]:
        """A run that was started at the beginning, once it has ended."""
        self.wire.wait([self.runs[name]])
        return self.wire.run(self.runs[name])

    @staticmethod
    def a_few_looks(seconds: float = 1.5) -> None:
        """Give the scheduler time to look several times, where the fact is that nothing happens."""
        time.sleep(seconds)

    def event_trigger(self, pipeline: str) -> dict[str, Any]:
        """A new active trigger of type `event`, as the product makes it."""
        body = {"name": "mage-mcp", "schedule_type": "event", "status": "active"}
        made = self.wire.post(f"/api/pipelines/{pipeline}/pipeline_schedules", {"pipeline_schedule": body})
        trigger: dict[str, Any] = made["pipeline_schedule"]
        return trigger

"""The real Mage that the facts are checked on: one of its own, for it holds more than the demo project."""

from collections.abc import Iterator

import pytest

from tests.lab.facts import ALL, Facts, write_facts
from tests.lab.mage import RealMage
from tests.lab.seed import create_triggers, hold_workers
from tests.lab.wire import Wire


@pytest.fixture(scope="session")
def facts() -> Iterator[Facts]:
    """Everything that takes time is started here, at once; each fact waits for its own."""
    with RealMage.start(write_facts) as mage, Wire(mage.url) as wire:
        facts = Facts(mage.url, wire, create_triggers(wire, ALL), mage.root / "tmp")
        with hold_workers(wire, facts.triggers["slow_report"][0]):
            _start_runs(facts)
            facts.ended("told")
        yield facts


def _start_runs(facts: Facts) -> None:
    def start(name: str, schedule_id: int, **fields: object) -> None:
        facts.runs[name] = facts.wire.trigger(schedule_id, **fields)["id"]

    start("on_inactive", facts.triggers["paused_reports"][0])
    start("running", facts.triggers["slow_report"][0], variables={"sleep_seconds": 60})
    start(
        "told",
        facts.event_trigger("fact_tell")["id"],
        variables={"region": "run", "count": 3, "nested": {"list": [1]}},
        event_variables={"mage_mcp": "told-nonce", "region": "event", "kept": "event", "free": "event"},
    )
    start("exported", facts.event_trigger("sales_daily")["id"], variables={"region": "apac", "from_run": "yes"})
    for tree in ("tree_1", "tree_2", "tree_3"):
        start(tree, facts.triggers["fact_tree"][0])
    for name in ("late", "limited", "failing"):
        start(name, facts.triggers[f"fact_{name}"][0])
    start("torn", facts.triggers["fact_torn"][0])
    start("shapes", facts.triggers["fact_shapes"][0])
    start("many", facts.triggers["fact_many"][0])

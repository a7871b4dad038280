"""Runs that wait, on a real Mage, as they are told over MCP. The last tests there: they stop its scheduler."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from mage_mcp.demo.project import Trigger
from tests.host import Host
from tests.lab.failing import FailedRuns
from tests.lab.seed import create_trigger

pytestmark = [pytest.mark.anyio, pytest.mark.real]

LONG = {"sleep_seconds": 600}
NextRun = Callable[[], int]


@contextmanager
def sleeping(real: FailedRuns, pipeline: str, trigger: Trigger, *more: Trigger) -> Iterator[tuple[int, NextRun]]:
    """A run that sleeps, by the first of the triggers, and one more by the last each time it is asked for."""
    runs: list[int] = []
    schedules = [create_trigger(real.wire, pipeline, each) for each in (trigger, *more)]

    def start(schedule: int) -> int:
        runs.append(real.wire.trigger(schedule, variables=LONG)["id"])
        return runs[-1]

    try:
        first = start(schedules[0])
        real.wire.wait([first], until=("running",))
        yield first, lambda: start(schedules[-1])
    finally:
        for run in runs:
            real.wire.put(f"/api/pipeline_runs/{run}", {"pipeline_run": {"status": "cancelled"}})


def _a_few_looks() -> None:
    time.sleep(1.5)


async def waits_for(host: Host, run: int) -> str:
    report = (await host.call("get_run", run=str(run))).data
    assert report["status"] == "initial"
    sentence: str = report["waits_for"]
    return sentence


@pytest.mark.parametrize(
    ("pipeline", "triggers", "sentence"),
    [
        (
            "slow_report",
            (Trigger("one", "api", settings={"pipeline_run_limit": 1}),),
            "Its trigger lets 1 run at a time (pipeline_run_limit): {run} must end first.",
        ),
        (
            "one_for_each_trigger",
            (Trigger("any", "api"),),
            "Its trigger lets 1 run at a time (its pipeline's concurrency_config): {run} must end first.",
        ),
        (
            "one_for_all_triggers",
            (Trigger("one", "api"), Trigger("other", "api")),
            "Its pipeline lets 1 run at a time (concurrency_config): {run} must end first.",
        ),
    ],
    ids=["of its trigger", "of its pipeline for each trigger", "of its pipeline for all"],
)
async def test_a_run_behind_a_limit_names_the_runs_ahead(
    failures_host: Host, real_failures: FailedRuns, pipeline: str, triggers: tuple[Trigger, ...], sentence: str
):
    with sleeping(real_failures, pipeline, *triggers) as (first, start_another):
        waiting = start_another()
        _a_few_looks()
        assert await waits_for(failures_host, waiting) == sentence.format(run=first)
        await failures_host.call("cancel_runs", runs=[first])
        assert real_failures.wire.wait([waiting], until=("running",))


async def test_a_run_that_mage_skips_says_so(failures_host: Host, real_failures: FailedRuns):
    with sleeping(real_failures, "one_for_now_or_never", Trigger("now_or_never", "api")) as (_, start_another):
        skipped = start_another()
        real_failures.wire.wait([skipped])
        report = (await failures_host.call("get_run", run=str(skipped))).data
    assert report["status"] == "cancelled"
    assert report["note"].startswith("Mage cancelled it before it began")
    assert "run limit reached" in report["note"]


async def test_a_run_of_an_inactive_trigger_says_that_it_does_not_start(failures_host: Host, real_failures: FailedRuns):
    asleep = create_trigger(real_failures.wire, "slow_report", Trigger("asleep", "api", status="inactive"))
    run = real_failures.wire.trigger(asleep)["id"]
    assert f"Its trigger {asleep} is inactive" in await waits_for(failures_host, run)
    (change,) = (await failures_host.call("cancel_runs", runs=[run])).data["runs"]
    assert change["after"] == "cancelled"


async def test_while_the_scheduler_is_stopped_a_run_says_that_a_person_has_to_start_it(
    failures_host: Host, real_failures: FailedRuns
):
    def scheduler(action: str) -> str:
        answer = real_failures.wire.post("/api/schedulers", {"scheduler": {"action_type": action}})
        status: str = answer["scheduler"]["status"]
        return status

    assert scheduler("stop") == "stopped"
    try:
        run = real_failures.wire.trigger(real_failures.triggers["raise"])["id"]
        assert "scheduler is stopped" in await waits_for(failures_host, run)
    finally:
        assert scheduler("start") == "running"
    real_failures.wire.wait([run])

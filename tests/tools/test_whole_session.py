"""One session as an assistant has it, on a real Mage: write a pipeline, break it, mend it, schedule it, tidy up."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.host import Host
from tests.lab.mage import RealMage

pytestmark = [pytest.mark.anyio, pytest.mark.real]

LOAD = """\
if 'data_loader' not in globals():
    from mage_ai.data_preparation.decorators import data_loader


@data_loader
def load(*args, **kwargs):
    return [{'order': 1, 'revenue': 120.0}, {'order': 2, 'revenue': 80.0}]
"""
FILTER = """\
if 'transformer' not in globals():
    from mage_ai.data_preparation.decorators import transformer


@transformer
def keep(orders, *args, **kwargs):
    return [order for order in orders if order['revenu'] > kwargs.get('least', 100)]
"""
EXPORT = """\
if 'data_exporter' not in globals():
    from mage_ai.data_preparation.decorators import data_exporter


@data_exporter
def export(orders, *args, **kwargs):
    print(f'exported {len(orders)} orders')
"""
BLOCKS = {
    "session_load": ("data_loader", LOAD, []),
    "session_filter": ("transformer", FILTER, ["session_load"]),
    "session_export": ("data_exporter", EXPORT, ["session_filter"]),
}


async def lists(host: Host) -> dict[str, Any]:
    """What there is, by name; of runs, how many."""
    pipelines = (await host.call("list_pipelines", limit=100)).data["items"]
    triggers = (await host.call("list_triggers", limit=100)).data["items"]
    backfills = (await host.call("list_backfills", limit=100)).data["items"]
    files = (await host.call("list_files", search="session_", limit=100)).data["items"]
    return {
        "pipelines": [row["pipeline"] for row in pipelines],
        "triggers": [row["trigger"] for row in triggers],
        "backfills": [row["backfill"] for row in backfills],
        "files": [row["path"] for row in files],
        "runs": (await host.call("list_runs", limit=1)).data["total"],
    }


def on_disk(project: Path) -> set[str]:
    """Every file of the project, save Python's bytecode."""
    return {
        str(path.relative_to(project))
        for path in project.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


async def ended(host: Host, run: int) -> dict[str, Any]:
    """The run once it has ended, waited for as an assistant does."""
    for _ in range(4):
        report = (await host.call("get_run", run=str(run), wait_s=45)).data
        if report["status"] not in {"initial", "running"}:
            return report
    raise AssertionError(report)


async def write(host: Host) -> str:
    """A pipeline of three blocks, whose second has a mistake."""
    pipeline = (await host.call("create_pipeline", name="Session orders", tags=["session"])).data["pipeline"]
    for name, (kind, code, upstream) in BLOCKS.items():
        made = await host.call(
            "create_block", pipeline=pipeline, name=name, type=kind, content=code, upstream_blocks=upstream
        )
        assert made.data["changed"] is True
    return pipeline


async def run_and_mend(host: Host, pipeline: str) -> int:
    """Run it, see why it fails, mend that by a diff, and retry."""
    run = (await host.call("trigger_pipeline", pipeline=pipeline)).data["run"]
    report = await ended(host, run)
    assert report["status"] == "failed"
    (failure,) = report["failures"]
    assert (failure["block"], failure["error_type"]) == ("session_filter", "KeyError")
    block = (await host.call("get_block", pipeline=pipeline, block="session_filter")).data
    change = {"replace": {"old": "order['revenu']", "new": "order['revenue']"}, "expected_hash": block["hash"]}
    dry = (await host.call("update_block", pipeline=pipeline, block="session_filter", dry_run=True, **change)).data
    assert dry["changed"] is False
    assert "+    return [order for order in orders if order['revenue'] > kwargs.get('least', 100)]" in dry["diff"]
    done = (await host.call("update_block", pipeline=pipeline, block="session_filter", **change)).data
    assert done["diff"] == dry["diff"]
    assert (await host.call("retry_run", run=str(run))).data["changed"] is True
    assert (await ended(host, run))["status"] == "completed"
    return run


async def schedule(host: Host, pipeline: str) -> int:
    """A daily trigger, its start given with an offset, paused; and a variable."""
    trigger = (
        await host.call(
            "create_trigger",
            pipeline=pipeline,
            name="every morning",
            interval="30 6 * * *",
            start_time="2099-01-01T06:30:00+02:00",
        )
    ).data
    assert "2099-01-01T04:30:00Z" in str(trigger)
    paused = (await host.call("update_triggers", triggers=[trigger["trigger"]], status="inactive")).data
    assert paused["changed"] is True
    await host.call("update_variables", pipeline=pipeline, set={"least": 50})
    assert (await host.call("get_pipeline", pipeline=pipeline)).data["variables"] == {"least": 50}
    return trigger["trigger"]


async def backfill(host: Host, pipeline: str) -> tuple[int, int]:
    """Three days, counted before; the backfill and its trigger, once all its runs have completed."""
    last = datetime.now(UTC).date() - timedelta(days=1)
    window = {"start": str(last - timedelta(days=2)), "end": str(last)}
    counted = (await host.call("create_backfill", pipeline=pipeline, dry_run=True, **window)).data
    assert (counted["changed"], counted["runs"]) == (False, 3)
    made = (await host.call("create_backfill", pipeline=pipeline, **window)).data
    for _ in range(60):
        rows = (await host.call("list_runs", trigger=str(made["trigger"]), limit=10)).data["items"]
        if len(rows) == 3 and all(row["status"] == "completed" for row in rows):
            break
        await anyio.sleep(1)
    assert [row["status"] for row in rows] == ["completed"] * 3
    assert {row["execution_date"][:10] for row in rows} == {str(last - timedelta(days=ago)) for ago in range(3)}
    logs = await host.call("get_run_logs", run=str(rows[0]["run"]), search="exported")
    assert "exported 2 orders" in logs.text
    return made["backfill"], made["trigger"]


async def delete_all(host: Host, pipeline: str, trigger: int, backfill_and_its: tuple[int, int]) -> str:
    """Everything, in the order in which it can be; all that the answers said."""
    runs = [row["run"] for row in (await host.call("list_runs", pipeline=pipeline, limit=100)).data["items"]]
    assert len(runs) == 4
    answers = [await host.call("delete_runs", runs=runs)]
    answers.append(await host.call("delete_backfill", backfill=backfill_and_its[0]))
    left = [row["trigger"] for row in (await host.call("list_triggers", pipeline=pipeline)).data["items"]]
    assert trigger in left
    assert backfill_and_its[1] not in left
    answers.append(await host.call("delete_trigger", trigger=trigger))
    for name in reversed(BLOCKS):
        one = await host.call("delete_block", pipeline=pipeline, block=name, delete_file=True)
        answers.append(one)
    answers.append(await host.call("delete_pipeline", pipeline=pipeline))
    (ours,) = answers[-1].data["triggers"]  # the one through which trigger_pipeline ran it
    answers.append(await host.call("delete_trigger", trigger=ours))
    assert all(answer.data["changed"] for answer in answers)
    return "\n".join(answer.text for answer in answers)


async def test_a_pipeline_is_written_run_mended_scheduled_backfilled_and_deleted(real_auto: Host, real_mage: RealMage):
    before, disk_before = await lists(real_auto), on_disk(real_mage.project_dir)
    pipeline = await write(real_auto)
    await run_and_mend(real_auto, pipeline)
    trigger = await schedule(real_auto, pipeline)
    told = await delete_all(real_auto, pipeline, trigger, await backfill(real_auto, pipeline))

    # Nothing is left in any list, and on disk only what the answers said would stay.
    assert await lists(real_auto) == before
    left = on_disk(real_mage.project_dir)
    assert disk_before - left == set()
    assert {path.partition("/")[0] for path in left - disk_before} == {".file_versions"}
    assert "Mage keeps versions of its files in .file_versions" in told
    assert "logs and outputs stay" in told


async def test_a_block_that_hides_its_decorator_is_warned_of_and_fails_as_said(real_auto: Host):
    pipeline = (await real_auto.call("create_pipeline", name="session hidden")).data["pipeline"]
    hiding = LOAD.replace("if 'data_loader' not in globals():\n    ", "")
    block = {"pipeline": pipeline, "name": "session_hidden", "type": "data_loader", "content": hiding}
    made = (await real_auto.call("create_block", **block)).data
    assert "the import of data_loader hides Mage's own" in made["note"]
    run = (await real_auto.call("trigger_pipeline", pipeline=pipeline)).data["run"]
    (failure,) = (await ended(real_auto, run))["failures"]
    assert "does not have any decorated functions" in failure["message"]
    assert "or an import of that name hides it" in failure["note"]
    mended = {"old": "from mage_ai", "new": "if 'data_loader' not in globals():\n    from mage_ai"}
    done = await real_auto.call("update_block", pipeline=pipeline, block="session_hidden", replace=mended)
    assert "hides" not in done.data.get("note", "")
    await real_auto.call("retry_run", run=str(run))
    assert (await ended(real_auto, run))["status"] == "completed"

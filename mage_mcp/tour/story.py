"""What is asked on the tour, and which tools are called for it. Arguments and conclusions come out of the answers."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol

from mage_mcp.tour import digests
from mage_mcp.tour.screen import Line
from mage_mcp.tour.server import SECRET_VARIABLE

Data = dict[str, Any]
Digest = Callable[[Data], Iterable[Line]]


class Telling(Protocol):
    """Where the story is told."""

    async def person(self, text: str) -> None:
        """What a person types."""

    async def call(self, tool: str, digest: Digest, **arguments: Any) -> Data:
        """What an assistant calls; shows the call, its progress, what came back and its cost."""

    async def says(self, text: str) -> None:
        """What an assistant makes of it."""


async def which_pipelines(tell: Telling) -> None:
    await tell.person("Which finance pipelines do we have on prod?")
    page = await tell.call("list_pipelines", digests.pipelines, cluster="prod", tag="finance")
    await tell.says(f"There are {page['total']}: {_and([item['pipeline'] for item in page['items']])}.")


async def a_run_is_watched(tell: Telling) -> None:
    await tell.person("Run sales_daily and stay with it.")
    run = await tell.call("trigger_pipeline", digests.run, cluster="prod", pipeline="sales_daily", wait_s=30)
    await tell.says(f"Run {run['run']} {run['status']} after {run['duration_s']} s, all {len(run['blocks'])} blocks.")


async def what_failed(tell: Telling) -> None:
    await tell.person("What has failed on prod this week?")
    page = await tell.call("list_runs", digests.causes, cluster="prod", status="failed", since="7d", group_by="cause")
    first = page["causes"][0]
    await tell.says(
        f"Runs failed for {len(page['causes'])} different reasons; "
        f"{_and(first['pipelines'])} most often, {first['count']} times."
    )


async def why_it_failed(tell: Telling) -> None:
    await tell.person("Why does orders_refresh fail?")
    run = await tell.call("get_run", digests.failure, cluster="prod", pipeline="orders_refresh", status="failed")
    failure, history = run["failures"][0], run["history"]
    cause = failure.get("cause", failure)
    again = (
        f"It failed the same way {history['failed_in_a_row']} times in a row, so a retry alone will not help."
        if history.get("same_error")
        else "It may have been the moment; a retry is worth a try."
    )
    await tell.says(
        f"{_upper(failure['message'])}: {cause['message']} in line {cause['line']} of {cause['file']}. {again}"
    )


async def retried_from_the_block(tell: Telling) -> None:
    await tell.person("flaky_import failed too. If that was only a bad moment, go on from the block that failed.")
    failed = await tell.call("get_run", digests.failure, cluster="prod", pipeline="flaky_import", status="failed")
    block = failed["failures"][0]["block"]
    await tell.call("retry_run", digests.retried, cluster="prod", run=failed["run"], from_block=block)
    ended = await tell.call("get_run", digests.run, cluster="prod", run=str(failed["run"]), wait_s=30)
    await tell.says(f"Run {ended['run']} is {ended['status']}: {block} passed this time.")


async def a_variable_is_set(tell: Telling) -> None:
    await tell.person(f"Give staging the new Snowflake password. I have put it into {SECRET_VARIABLE}.")
    changed = await tell.call(
        "update_cluster_env_vars",
        digests.variables,
        cluster="staging",
        set_from={"SNOWFLAKE_PASSWORD": SECRET_VARIABLE},
    )
    names = _and(changed["overwritten"])
    await tell.says(f"{changed['cloud_name']} has the new {names}. I have not seen the value.")


async def a_cluster_is_stopped(tell: Telling) -> None:
    await tell.person("Stop prod, the database is down for maintenance.")
    stopped = await tell.call("stop_cluster", digests.power, cluster="prod", wait_s=45)
    await tell.says(f"{stopped['cloud_name']} was {stopped['before']} and is {stopped['after']}.")


Step = Callable[[Telling], Awaitable[None]]
STORY: tuple[Step, ...] = (
    which_pipelines,
    a_run_is_watched,
    what_failed,
    why_it_failed,
    retried_from_the_block,
    a_variable_is_set,
    a_cluster_is_stopped,
)


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _and(names: list[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last

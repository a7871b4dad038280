"""The demo project, as pure data: pipelines, their blocks and their triggers.

Nothing here is about the simulation. A real Mage seeded from these definitions behaves as the simulated one does; how
long blocks take and what happened before the start stand in `script.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from mage_mcp.demo import sources
from mage_mcp.demo.planted import PLANTED


@dataclass(frozen=True)
class Block:
    """A block and its file. Blocks of one uuid share one file, whatever pipelines they stand in."""

    uuid: str
    type: str
    source: str
    upstream: tuple[str, ...] = ()
    language: str = "python"
    configuration: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""
    """Where it is not the uuid."""

    @property
    def file_path(self) -> str:
        """Where Mage keeps the code, relative to the project."""
        folder = self.type if self.type == "custom" else f"{self.type}s"
        return f"{folder}/{self.uuid}.{'py' if self.language == 'python' else self.language}"


@dataclass(frozen=True)
class Trigger:
    """A pipeline schedule, in Mage's words."""

    name: str
    schedule_type: Literal["api", "time", "event"]
    schedule_interval: str = ""
    status: Literal["active", "inactive"] = "active"
    variables: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    description: str = ""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pipeline:
    """A pipeline. The `upstream` of a conditional names the blocks it guards."""

    uuid: str
    description: str
    blocks: tuple[Block, ...]
    type: str = "python"
    tags: tuple[str, ...] = ()
    variables: Mapping[str, Any] = field(default_factory=dict)
    triggers: tuple[Trigger, ...] = ()
    conditionals: tuple[Block, ...] = ()
    name: str = ""
    """Where it is not the uuid."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """Settings that are not Mage's own, by its names."""
    fresh: bool = False
    """Made through the API, and never had a variable."""

    def downstream(self, uuid: str) -> tuple[str, ...]:
        """The blocks that take this block's output, in pipeline order."""
        return tuple(block.uuid for block in self.blocks if uuid in block.upstream)


def _loader(uuid: str, source: str) -> Block:
    return Block(uuid, "data_loader", source)


def _transformer(uuid: str, source: str, *upstream: str) -> Block:
    return Block(uuid, "transformer", source, upstream)


def _exporter(uuid: str, source: str, *upstream: str) -> Block:
    return Block(uuid, "data_exporter", source, upstream)


TEAM_REPORTS = 40

PIPELINES: tuple[Pipeline, ...] = (
    Pipeline(
        "sales_daily",
        "Loads the day's orders, adds tax and exports them. Always succeeds.",
        (
            _loader("load_orders", sources.LOAD_ORDERS),
            _transformer("add_tax", sources.ADD_TAX, "load_orders"),
            _exporter("export_orders", sources.EXPORT_ORDERS, "add_tax"),
        ),
        tags=("finance", "daily"),
        variables={"region": "emea", "row_count": 5, "db_password": PLANTED["pipeline variable db_password"]},
        triggers=(
            Trigger("sales_api", "api", variables={"from_trigger": "yes"}, tags=("ops",)),
            Trigger("sales_yearly", "time", "0 3 1 1 *"),
            Trigger("sales_hourly", "time", "@hourly", status="inactive", description="switched off on purpose"),
        ),
    ),
    Pipeline(
        "orders_refresh",
        "Works out the margin of each order. Always fails: one order has no revenue.",
        (
            _loader("load_numbers", sources.LOAD_NUMBERS),
            _transformer("divide_margins", sources.DIVIDE_MARGINS, "load_numbers"),
            _exporter("export_margins", sources.EXPORT_MARGINS, "divide_margins"),
        ),
        tags=("finance", "broken"),
        triggers=(Trigger("orders_api", "api"),),
    ),
    Pipeline(
        "slow_report",
        "Sleeps for sleep_seconds before it goes on.",
        (
            _loader("sleep_a_while", sources.SLEEP_A_WHILE),
            _exporter("after_sleep", sources.AFTER_SLEEP, "sleep_a_while"),
        ),
        variables={"sleep_seconds": 20},
        triggers=(Trigger("slow_api", "api"),),
    ),
    Pipeline(
        "flaky_import",
        "Fails on the first attempt of each run, passes when retried.",
        (
            _loader("load_one", sources.LOAD_ONE),
            _transformer("fail_once", sources.FAIL_ONCE, "load_one"),
            _exporter("export_one", sources.EXPORT_ONE, "fail_once"),
        ),
        triggers=(Trigger("flaky_api", "api"),),
    ),
    Pipeline(
        "crash_loop",
        "Its second block ends the worker process, and Mage starts it again for ever.",
        (
            _loader("load_small", sources.LOAD_SMALL),
            _transformer("leave_early", sources.LEAVE_EARLY, "load_small"),
        ),
        triggers=(Trigger("crash_api", "api"),),
    ),
    Pipeline(
        "paused_reports",
        "A daily report whose only trigger is paused.",
        (_loader("build_report", sources.MAKE_REPORT),),
        triggers=(Trigger("reports_daily", "time", "@daily", status="inactive"),),
    ),
    Pipeline(
        "new_pipeline",
        "Written but never run: it has no trigger yet.",
        (_loader("first_block", sources.MAKE_REPORT),),
    ),
    Pipeline("empty_pipeline", "No blocks at all.", ()),
    Pipeline(
        "customer_360",
        "Joins customers with their events.",
        (
            _loader("load_customers", sources.LOAD_CUSTOMERS),
            _loader("load_events", sources.LOAD_EVENTS),
            _transformer("clean_users", sources.CLEAN_USERS, "load_customers"),
            _transformer("count_events", sources.COUNT_EVENTS, "load_events"),
            _transformer("join_profiles", sources.JOIN_PROFILES, "clean_users", "count_events"),
            _exporter("export_profiles", sources.EXPORT_PROFILES, "join_profiles"),
        ),
        tags=("customers",),
        triggers=(Trigger("customer_api", "api"),),
    ),
    Pipeline(
        "nested_import",
        "Reads a file that is not there, in a block that stands in a subfolder.",
        (
            _loader("sub/read_orders", sources.READ_ORDERS),
            _exporter("store_orders", sources.STORE_ORDERS, "sub/read_orders"),
        ),
        triggers=(Trigger("nested_api", "api"),),
    ),
    Pipeline(
        "guarded_export",
        "Publishes a summary only when it has rows, which it never has.",
        (
            _loader("load_summary", sources.LOAD_SUMMARY),
            _exporter("publish_summary", sources.PUBLISH_SUMMARY, "load_summary"),
            _exporter("archive_summary", sources.ARCHIVE_SUMMARY, "publish_summary"),
        ),
        triggers=(Trigger("guarded_api", "api"),),
        conditionals=(Block("has_rows", "conditional", sources.HAS_ROWS, ("publish_summary",)),),
    ),
    Pipeline(
        "leaky_sync",
        "Fails with a message that holds a password and colour codes.",
        (
            _loader("load_accounts", sources.LOAD_ACCOUNTS),
            _transformer("sync_accounts", sources.SYNC_ACCOUNTS, "load_accounts"),
        ),
        triggers=(Trigger("leaky_api", "api"),),
    ),
    *(
        Pipeline(
            f"team_report_{number:02}",
            f"Report {number} of the team.",
            (_loader("make_team_report", sources.MAKE_REPORT),),
            tags=("team",),
        )
        for number in range(1, TEAM_REPORTS + 1)
    ),
)

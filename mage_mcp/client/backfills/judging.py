"""What there is to know before a backfill is made: whether it must not be, and what it would do."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from mage_mcp.client.backfills.reading import BackfillRecord
from mage_mcp.client.backfills.windows import Window
from mage_mcp.client.models import iso
from mage_mcp.client.records import UNFINISHED, PipelineRecord
from mage_mcp.client.triggers.wishes import check_variables
from mage_mcp.errors import MageInvalid
from mage_mcp.text import MASK, one_line, quoted, show

_LONGEST_NAME = 200
"""Its trigger is called the same with a word in front, and there is room for 255."""
_MAGES_OWN = frozenset(
    {
        "ds",
        "hr",
        "execution_date",
        "interval_end_datetime",
        "interval_seconds",
        "interval_start_datetime",
        "interval_start_datetime_previous",
    }
)
"""Variables that Mage gives each run of a backfill, over those of the same name."""
_MANY = 50
"""Runs that Mage needs seconds to make."""


def checked_name(name: str) -> str:
    name = name.strip()
    if MASK in name or show(name) != name or name != " ".join(name.split()) or len(name) > _LONGEST_NAME:
        raise MageInvalid(
            f"The name must be one line of at most {_LONGEST_NAME} characters, without a mask, a secret or hidden "
            "characters; nothing was sent."
        )
    return name


def check_own_variables(variables: dict[str, Any]) -> None:
    check_variables(variables)
    if own := sorted(_MAGES_OWN & set(variables)):
        raise MageInvalid(
            f"Mage sets {own[0]!r} itself for each date of a backfill; nothing was sent.",
            next_step="Leave it out, or name the variable otherwise.",
        )


def refuse_streaming(pipeline: PipelineRecord) -> None:
    if pipeline.type == "streaming":
        raise MageInvalid(
            f"{quoted(pipeline.uuid)} is a streaming pipeline: each run of a backfill would go on for ever. "
            "Nothing was sent."
        )


def half_made_before(
    existing: Sequence[BackfillRecord], window: Window, *, name: str, variables: dict[str, Any]
) -> BackfillRecord | None:
    """The backfill that an earlier call left before it started; None where there is none.

    Raises MageInvalid for a window that has been started, one that shares dates with a backfill under way, and for a
    name that is taken.
    """
    found = None
    for record in existing:
        same = record.window is not None and window.makes_the_same_as(record.window)
        if same and record.was_started:
            raise _started_before(record)
        if record.status in UNFINISHED and record.window and (shared := window.shares_with(record.window)):
            raise MageInvalid(
                f"{shared} of these dates are being run by backfill {record.id}, {quoted(record.name, 60)}; their runs "
                "would write into the same logs and outputs. Nothing was sent.",
                next_step=f"Wait till list_backfills says that it has ended, or cancel_backfill(backfill={record.id}).",
            )
        unstarted = not record.was_started and (same or not record.has_dates)
        if record.name == name and unstarted and record.variables in ({}, variables):
            found = record
        elif record.name == name:
            raise MageInvalid(
                f"Backfill {record.id} ({record.status or 'not started'}) of the pipeline has that name. Nothing was "
                "sent.",
                next_step=f"Give another name, or remove it with delete_backfill(backfill={record.id}).",
            )
    return found


def _started_before(record: BackfillRecord) -> MageInvalid:
    again = f"delete_backfill(backfill={record.id}), then create it again"
    if record.pipeline_schedule_id is not None:
        failed = f"list_runs(trigger={str(record.pipeline_schedule_id)!r}, status='failed')"
        again = f"To run what failed again: {failed}, then retry_run. To run all of it again: {again}"
    return MageInvalid(
        f"The same window was started before: backfill {record.id}, {quoted(record.name, 60)}, {record.status}. "
        "Nothing was sent; another name changes nothing.",
        next_step=f"{again}.",
    )


def what_it_does(window: Window, pipeline: PipelineRecord, *, name: str, half_made: BackfillRecord | None) -> list[str]:
    do = f"take up backfill {half_made.id}" if half_made else "create backfill"
    would = [
        f"{do} {quoted(name)} of {quoted(pipeline.uuid)} and start its {window.count} runs, by {window.interval} from "
        f"{iso(window.start)} to {iso(window.last)}, that one included"
    ]
    if window.count > _MANY:
        would.append("Mage makes the runs first, and answers nobody for the seconds or the minute that takes")
    if window.count > 1:
        limit = pipeline.concurrency_config.get("pipeline_run_limit")
        would.append(f"at most {limit} of its runs go on at once" if limit else "all its runs start at once")
    exporters = [block.uuid for block in pipeline.blocks if block.type == "data_exporter"]
    if exporters:
        would.append(f"every run writes its data: {', '.join(map(quoted, exporters[:5]))}")
    return would


def overlaps(existing: Sequence[BackfillRecord], window: Window) -> list[str]:
    told = [
        f"Of the dates, {shared} were in backfill {record.id} too ({one_line(record.status, 20)})."
        for record in existing
        if record.was_started and record.window is not None and (shared := window.shares_with(record.window))
    ]
    return told[:3]


def beyond_now(window: Window, *, now: datetime) -> str:
    if window.last > now:
        return "Some of its dates lie in the future; Mage runs them now all the same."
    if window.after(window.last) > now:
        return f"The interval from {iso(window.last)} on is not over yet; its run starts now all the same."
    return ""

"""The lines of an answer that a reader wants first. Every name, number and sentence in them stands in the answer."""

from collections.abc import Iterator
from textwrap import dedent
from typing import Any

from mage_mcp.tour.screen import Line

Data = dict[str, Any]


def pipelines(page: Data) -> Iterator[Line]:
    """Of list_pipelines."""
    for item in page["items"]:
        active, tags = item.get("active_triggers", 0), ", ".join(item.get("tags", []))
        yield _line(f"{item['pipeline']}: {item['blocks']} blocks, {active} of {item['triggers']} triggers on, {tags}")
        yield _line(f"  {item['description']}")


def run(report: Data) -> Iterator[Line]:
    """Of trigger_pipeline that waited, and of get_run for a run that went well."""
    yield _line(f"run {report['run']} of {report['pipeline']}: {report['status']}")
    blocks = (f"{block['block']} {block['status']} {block.get('duration_s', 0)} s" for block in report["blocks"])
    yield _line(" · ".join(blocks))
    for finding in report.get("findings", []):
        yield _line(f"{finding['block']}: {finding['text']}")


def causes(page: Data) -> Iterator[Line]:
    """Of list_runs, grouped by cause."""
    for cause in page["causes"]:
        yield _line(f"{cause['count']} × {', '.join(cause['pipelines'])}, block {cause['block']}")
        yield _line(f"    {cause['error']}")


def failure(report: Data) -> Iterator[Line]:
    """Of get_run for a run that failed."""
    first = report["failures"][0]
    yield _line(f"run {report['run']} {report['status']} in block {first['block']}")
    yield _line(f"{first['error_type']}: {first['message']}")
    yield _line(f"{first['file']} line {first['line']}, in {first['function']}")
    yield from _code(first["code"])
    if cause := first.get("cause"):
        where = "" if cause["file"] == first["file"] else f" of {cause['file']}"
        yield _line(f"caused by {cause['error_type']}: {cause['message']}, in line {cause['line']}{where}")
    yield from _history(report["history"])
    for step in report.get("next_steps", []):
        yield _line(f"next: {step}")


def _code(excerpt: str) -> Iterator[Line]:
    """The lines of code with their numbers, without the indentation that they all have."""
    parts = [line.partition("| ") for line in excerpt.splitlines()]
    code = dedent("\n".join(code for _, _, code in parts)).split("\n")
    for (number, bar, _), text in zip(parts, code, strict=True):
        yield Line("fault" if number.startswith(">") else "code", f"{number}{bar}{text}")


def _history(history: Data) -> Iterator[Line]:
    same = ", each time the same" if history.get("same_error") else ""
    last = f"; last completed: run {history['last_success_run']}" if "last_success_run" in history else ""
    yield _line(f"failed in a row: {history['failed_in_a_row']}{same}{last}")


def retried(change: Data) -> Iterator[Line]:
    """Of retry_run."""
    yield _line(f"run {change['run']}: {change['before']} → {change['after']}")
    yield _line(f"runs again: {', '.join(change['blocks'])}")


def variables(change: Data) -> Iterator[Line]:
    """Of update_cluster_env_vars: names only, as the answer has them."""
    for word in ("added", "overwritten", "removed"):
        if names := change.get(word):
            yield _line(f"{word}: {', '.join(names)}")
    yield _line(f"{change['cloud_name']} is {change['after']}")


def power(change: Data) -> Iterator[Line]:
    """Of stop_cluster."""
    yield _line(f"{change['cloud_name']} ({change['cloud_id']}): {change['before']} → {change['after']}")
    yield _line(f"replicas: {change['replicas_before']} → {change['replicas']}")


def _line(text: str) -> Line:
    return Line("answer", text.rstrip(", "))

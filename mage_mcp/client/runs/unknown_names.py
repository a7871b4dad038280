"""Variables of a run whose names nothing knows: Mage takes any, and a misspelt one changes nothing and is not told."""

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from mage_mcp.client.records import PipelineRecord, TriggerRecord
from mage_mcp.text import one_line

_MOST, _LONGEST = 5, 60
_NEAR = 0.75
_MAGES_OWN = frozenset(
    {
        "block_uuid",
        "configuration",
        "context",
        "ds",
        "env",
        "event",
        "execution_date",
        "execution_partition",
        "hr",
        "interval_end_datetime",
        "interval_seconds",
        "interval_start_datetime",
        "interval_start_datetime_previous",
        "logger",
        "pipeline_run_id",
        "pipeline_uuid",
        "repo_path",
        "spark",
        "trigger_name",
    }
)
"""Given to blocks by Mage itself. Source: Mage PipelineRun.get_variables; the rest stands beside these in kwargs."""


def unknown_names(given: Iterable[str], pipeline: PipelineRecord, trigger: TriggerRecord) -> str:
    """A sentence on the names that are no variable of the pipeline or trigger and stand in no block's code.

    `pipeline` comes with the code of its blocks; without it, nothing is said.
    """
    blocks = (*pipeline.blocks, *pipeline.conditionals, *pipeline.callbacks)
    sources = [block.content for block in blocks if block.content]
    if not sources:
        return ""
    known: Mapping[str, Any] = {**pipeline.variables, **trigger.variables}
    unknown = [name for name in given if name not in known and name not in _MAGES_OWN and not _stands_in(name, sources)]
    if not unknown:
        return ""
    words = {word for text in sources for word in re.findall(r"\b[A-Za-z_]\w{2,59}\b", text)}
    named = ", ".join(_with_nearest(name, known, words) for name in unknown[:_MOST])
    more = f" and {len(unknown) - _MOST} more" if len(unknown) > _MOST else ""
    return (
        f"Nothing seems to know the variables {named}{more}: the pipeline and its trigger have none of that name, no "
        "block's code holds it. They were passed all the same."
    )


def _stands_in(name: str, sources: Iterable[str]) -> bool:
    return any(re.search(rf"\b{re.escape(name)}\b", text) for text in sources)


def _with_nearest(name: str, known: Iterable[str], words: Iterable[str]) -> str:
    """`'full_refesh' (did you mean 'full_refresh'?)`: a variable's name before a word of the code."""
    near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=_NEAR) or difflib.get_close_matches(
        name, sorted(words), n=1, cutoff=_NEAR
    )
    shown = repr(one_line(name, _LONGEST))
    return f"{shown} (did you mean {one_line(near[0], _LONGEST)!r}?)" if near else shown

"""The failed runs of a list as the causes behind them: one row for each."""

import asyncio
from collections.abc import Sequence

from mage_mcp.client.models import ROOM_BY_DEFAULT, how_many_fit
from mage_mcp.client.records import RunRecord
from mage_mcp.client.replies import count, root
from mage_mcp.client.runs.causes import Cause, by_cause
from mage_mcp.client.runs.gathering import reason_in_logs
from mage_mcp.client.runs.pages import CausePage, past_the_end
from mage_mcp.client.transport import Params, Transport

_MOST_FAILED_TO_GROUP = 200
_MOST_CAUSES = 25
_MOST_LOGS_READ = 8
"""Of causes whose runs do not tell the error themselves."""


async def cause_page(transport: Transport, path: str, params: Params, *, limit: int, offset: int) -> CausePage:
    """The causes of the latest failed runs, the commonest first; `params` filter the runs."""
    reply = await transport.read(path, **params, _limit=_MOST_FAILED_TO_GROUP)
    records = [RunRecord.model_validate(row) for row in root(reply, "pipeline_runs", kind=list)]
    total = count(reply, fallback=len(records))
    every = by_cause(records)
    wanted = every[offset : offset + min(limit, _MOST_CAUSES)]
    causes = await _told_by_logs(transport, wanted, records)
    fit = how_many_fit(causes, room=ROOM_BY_DEFAULT)
    end = offset + fit
    notes = []
    if total > len(records):
        notes.append(f"Grouped are the latest {len(records)} of {total} failed runs; narrow with since or pipeline.")
    if not every:
        notes.append("Nothing failed, with these filters.")
    elif not causes:
        notes.append(past_the_end(len(every)))
    elif fit < len(every):
        which = f"causes {offset + 1} to {end}" if offset else f"the {fit} commonest"
        notes.append(f"Shown are {which} of {len(every)}{'' if offset else ' causes'}.")
    return CausePage(
        causes=list(causes[:fit]),
        total=total,
        next_offset=end if causes and end < len(every) else None,
        now=transport.clock.utc(),
        note=" ".join(notes),
    )


async def _told_by_logs(transport: Transport, causes: Sequence[Cause], records: Sequence[RunRecord]) -> Sequence[Cause]:
    """The same, with errors from the logs where the runs themselves tell none; of the commonest only."""
    by_id = {record.id: record for record in records}
    untold = [cause.latest_run for cause in causes if not cause.error][:_MOST_LOGS_READ]
    errors = await asyncio.gather(*(reason_in_logs(transport, by_id[run]) for run in untold))
    found = dict(zip(untold, errors, strict=True))
    return [cause.model_copy(update={"error": found.get(cause.latest_run, cause.error)}) for cause in causes]

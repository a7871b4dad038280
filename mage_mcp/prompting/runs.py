"""Facts about one run: why it failed, what it logged, and how the runs before it went."""

from collections.abc import Sequence

from mage_mcp.prompting.ask import Ask
from mage_mcp.prompting.facts import Facts
from mage_mcp.prompting.page import Block, block, rows

facts = Facts()

_NOTHING_FAILED = "No run failed, as far as this cluster remembers: say so, there is nothing to diagnose."
_RECENT = 8


@facts.add(room=160)
async def retrying(ask: Ask) -> str:
    if ask.mage().read_only:
        return "This server only reads: a person retries the run in Mage, when the cause is gone."
    return "Retry with retry_run only when the cause is gone and the person agrees."


@facts.add(room=160)
async def changing(ask: Ask) -> str:
    if all(mage.read_only for mage in ask.mages()):
        return "This server only reads: what has to be cancelled or retried is for a person to do in Mage."
    return "Cancel with cancel_runs, or retry with retry_run, only when the person says so."


@facts.add(room=5_000)
async def report(ask: Ask) -> Sequence[Block]:
    found = await ask.report()
    if found is None:
        return [Block(_NOTHING_FAILED)]
    blocks = [block(f"Report on run {found.run}", found)]
    return [Block("The pipeline has no failed run; this is its latest one."), *blocks] if ask.fell_back else blocks


@facts.add(room=3_600)
async def log(ask: Ask) -> Sequence[Block]:
    found = await ask.report()
    if found is None:
        return []
    failing = next((failure.block for failure in found.failures if failure.block), "")
    logged = await ask.mage().logs.get(str(found.run), block=failing)
    label = "End of the log of the block that failed" if failing else f"End of the log of run {found.run}"
    if not logged.log:
        return [Block(f"{label}: {logged.note}")]
    return [Block(f"{label}, UTC", logged.log, language="log", from_end=True)]


@facts.add(room=1_600)
async def history(ask: Ask) -> Sequence[Block]:
    found = await ask.report()
    if found is None:
        return []
    recent = await ask.mage().runs.list(pipeline=found.pipeline, limit=_RECENT)
    return [rows("Its pipeline's latest runs, newest first", recent.items)]

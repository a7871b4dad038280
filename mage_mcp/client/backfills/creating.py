"""Making a backfill: in three steps, each looked at, so that the same window never starts twice."""

from datetime import datetime
from typing import Any

import anyio
from pydantic import Field

from mage_mcp.client.backfills.judging import (
    beyond_now,
    check_own_variables,
    checked_name,
    half_made_before,
    overlaps,
    refuse_streaming,
    what_it_does,
)
from mage_mcp.client.backfills.reading import BackfillReader, BackfillRecord
from mage_mcp.client.backfills.windows import Window, checked_window
from mage_mcp.client.models import Change, Name, UtcTime
from mage_mcp.client.paths import api
from mage_mcp.client.replies import root
from mage_mcp.errors import MageError, MageFailed, MageInvalid, MageReplyInvalid, MageWriteUncertain, noting

_LOOKS = (0.0, 1.0, 2.0, 4.0)
"""Seconds to wait before each look at a backfill whose start was not confirmed."""


class BackfillCreated(Change):
    backfill: int | None = Field(default=None, description="Id.")
    name: Name = ""
    pipeline: Name = ""
    status: str = ""
    runs: int = 0
    first: UtcTime | None = Field(default=None, description="First execution date.")
    last: UtcTime | None = Field(default=None, description="Last one, included.")
    interval: str = ""
    trigger: int | None = Field(default=None, description="Made by Mage for it.")


class BackfillCreator(BackfillReader):
    """Create, and start."""

    async def create(
        self,
        pipeline: str,
        start: str,
        end: str,
        *,
        interval_type: str = "day",
        interval_units: int = 1,
        name: str = "",
        variables: dict[str, Any] | None = None,
        max_runs: int = 366,
        dry_run: bool = False,
    ) -> BackfillCreated:
        """Make a backfill of a window and start it: one run for each date, both ends included.

        It is named first, then gets its window, and is started once both were read back: Mage takes only the name from
        editors *(source)* in the request that makes it, and cannot be asked to preview or to start a wrong window. A
        backfill is known by its name, which no other of the pipeline has, so that one whose answer was lost is found
        again, and the same call goes on with one that was left half made.

        Raises MageNotFound, MageInvalid (a window that would hang Mage, that has too many runs, or that a backfill of
        the pipeline has been started with), MageWriteUncertain. Source: Mage BackfillResource, start_backfill.
        """
        now = self._transport.clock.utc()
        window, understood = checked_window(
            start, end, interval_type=interval_type, interval_units=interval_units, max_runs=max_runs, now=now
        )
        name, variables = checked_name(name) or window.title, variables or {}
        check_own_variables(variables)
        of = await self._pipelines.record(pipeline)
        refuse_streaming(of)
        if dry_run:
            existing = await self.of_pipeline(pipeline)
            half_made = half_made_before(existing, window, name=name, variables=variables)
            would = what_it_does(window, of, name=name, half_made=half_made)
            answer = _answer(
                half_made or BackfillRecord(id=0, name=name, pipeline_uuid=pipeline), window, changed=False
            )
            note = " ".join(filter(None, (understood, *overlaps(existing, window), beyond_now(window, now=now))))
            return answer.model_copy(update={"would": would, "note": note})
        async with self._transport.serial("backfills of", pipeline):
            existing = await self.of_pipeline(pipeline)
            half_made = half_made_before(existing, window, name=name, variables=variables)
            with anyio.CancelScope(shield=True):
                record, notes = await self._make(half_made, window, pipeline, name=name, variables=variables)
                record, note = await self._start(record, window)
        notes = [understood, *notes, note, *overlaps(existing, window), beyond_now(window, now=now)]
        notes += [await self.held_up(), f"list_backfills(pipeline={pipeline!r}) shows how far it is."]
        return _answer(record, window, changed=True).model_copy(update={"note": " ".join(filter(None, notes))})

    async def _make(
        self, record: BackfillRecord | None, window: Window, pipeline: str, *, name: str, variables: dict[str, Any]
    ) -> tuple[BackfillRecord, list[str]]:
        """The backfill with its window, read back; not started."""
        notes = [f"Backfill {record.id} was there, not started; it was taken up."] if record else []
        if record is None:
            record, note = await self._post(pipeline, name)
            notes.append(note)
        wanted = {
            "interval_type": window.interval_type,
            "interval_units": window.interval_units,
            "start_datetime": _naive(window.start),
            "end_datetime": _naive(window.end),
            "variables": variables,
        }
        failed = ""
        with noting(f"Backfill {record.id} was made."):
            if record.window != window or record.variables != variables:
                try:
                    await self._transport.write("PUT", api("backfills", record.id), {"backfill": wanted})
                except MageError as error:
                    failed = error.what
            after = await self._look(record.id, failed)
            if after.was_started:
                raise _not_ours(after)
            if after.window != window or after.variables != variables:
                raise MageFailed(
                    f"Backfill {record.id} was made, but its window was not kept, so it was not started. "
                    f"{failed or 'Somebody else changed it.'}",
                    next_step=f"The same call goes on with it; delete_backfill(backfill={record.id}) removes it.",
                )
        return after, notes

    async def _look(self, backfill: int, failed: str) -> BackfillRecord:
        try:
            return await self.record(backfill)
        except MageError as error:
            raise MageWriteUncertain(
                f"Backfill {backfill} was made and not started; reading it then failed: {failed or error.what}",
                next_step="The same call goes on with it.",
            ) from error

    async def _post(self, pipeline: str, name: str) -> tuple[BackfillRecord, str]:
        """POST it once. There was none of that name, so where the answer is lost or says error the name finds it."""
        try:
            reply = await self._transport.write(
                "POST", api("pipelines", pipeline, "backfills"), {"backfill": {"name": name}}
            )
            return BackfillRecord.model_validate(root(reply, "backfill")), ""
        except (MageWriteUncertain, MageFailed, MageReplyInvalid) as error:
            try:
                found = [record for record in await self.of_pipeline(pipeline) if record.name == name]
            except MageError as hindrance:
                raise _perhaps_made(f"looking for it failed as well ({hindrance.what})") from error
            if len(found) == 1:
                return found[0], "Mage's answer was lost; the backfill was found by its name, which none had before."
            if found or not isinstance(error, MageFailed):
                how_many = f"{len(found)} backfills have" if found else "no backfill has"
                raise _perhaps_made(f"{how_many} its name so far") from error
            raise

    async def _start(self, record: BackfillRecord, window: Window) -> tuple[BackfillRecord, str]:
        """Start it, once, right after it was read as not started: what has been started Mage would start all over."""
        failure: MageError | None = None
        with noting(f"Backfill {record.id} was made."):
            try:
                await self._transport.write("PUT", api("backfills", record.id), {"backfill": {"status": "initial"}})
            except (MageWriteUncertain, MageFailed, MageReplyInvalid) as error:
                failure = error
            try:
                after = await self._started(record.id, looks=_LOOKS if failure else _LOOKS[:1])
                runs = (await self.counts(after)).get("runs", 0)
            except MageError as error:
                raise MageWriteUncertain(
                    f"The start of backfill {record.id} was sent, and Mage has not said since what became of it: it "
                    f"makes the {window.count} runs one after the other and answers nobody meanwhile.",
                    next_step="Look with list_backfills in a minute. The same call neither makes nor starts it twice.",
                ) from error
        if not after.was_started:
            if isinstance(failure, MageFailed):
                raise MageFailed(
                    f"Backfill {record.id} was made, but Mage did not start it: {failure.what}",
                    next_step=f"delete_backfill(backfill={record.id}) removes it with the runs it may have.",
                )
            raise MageWriteUncertain(
                f"The start of backfill {record.id} was sent, but Mage has not started it so far.",
                next_step="Look with list_backfills in a minute; the same call then starts it if nothing did.",
            )
        notes = ["Mage's answer was late; it did start." if failure else ""]
        if runs != window.count:
            notes.append(f"Mage lists {runs} runs of it, not {window.count}: look at list_backfills.")
        return after, " ".join(filter(None, notes))

    async def _started(self, backfill: int, *, looks: tuple[float, ...]) -> BackfillRecord:
        for pause in looks:
            await self._transport.clock.sleep(pause)
            record = await self.record(backfill)
            if record.was_started:
                break
        return record


def _naive(moment: datetime) -> str:
    """As Mage takes it: it drops an offset, so there is none."""
    return str(moment.replace(tzinfo=None))


def _not_ours(record: BackfillRecord) -> MageInvalid:
    return MageInvalid(
        f"Somebody else started backfill {record.id} meanwhile; it is {record.status}, and was not started again.",
        next_step="list_backfills shows how far it is.",
    )


def _perhaps_made(why: str) -> MageWriteUncertain:
    return MageWriteUncertain(
        f"Mage's answer was lost, and {why}. Nothing was started.",
        next_step="The same call goes on with it if it is there.",
    )


def _answer(record: BackfillRecord, window: Window, *, changed: bool) -> BackfillCreated:
    return BackfillCreated(
        changed=changed,
        backfill=record.id or None,
        name=record.name,
        pipeline=record.pipeline_uuid,
        status=record.status,
        runs=window.count,
        first=window.start,
        last=window.last,
        interval=window.interval,
        trigger=record.pipeline_schedule_id,
    )

"""Changing what a pipeline is called and how it is set up: read, merge, write, read back, and say what is not so."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any, Literal

import anyio
from pydantic import Field

from mage_mcp.client.clusters.config_patch import diff_lines
from mage_mcp.client.clusters.same import same_json
from mage_mcp.client.models import Change, Name, Names, Untrusted
from mage_mcp.client.paths import api
from mage_mcp.client.pipelines.config import changed_config, checked_tags, checked_text, config_of, same_config
from mage_mcp.client.pipelines.reading import PipelineReader
from mage_mcp.client.records import PipelineRecord
from mage_mcp.client.slugs import checked_name, uuid_for
from mage_mcp.errors import (
    MageError,
    MageFailed,
    MageInvalid,
    MageNotFound,
    MageReplyInvalid,
    MageWriteUncertain,
)
from mage_mcp.text import one_line, quoted, shorten

Clearable = Literal["description"]

_LONGEST_SHOWN = 2_000
_RENAMED = (
    "Its triggers, runs, backfills and block files went along. Logs and outputs of earlier runs did not: Mage keeps "
    "them under the old name, and shows them again once it is renamed back. Code that names it was not changed."
)
_TOKENS_IN_CODE = "From now on Mage writes its triggers, tokens included, into the project's triggers.yaml."


class PipelineChanged(Change):
    pipeline: Name = Field(default="", description="Uuid; after a rename the new one.")
    before: Annotated[dict[str, Any], Untrusted()] = Field(default={}, description="Of what changes.")
    after: Annotated[dict[str, Any], Untrusted()] = Field(default={}, description="Read back.")
    not_kept: Names = Field(default=[], description="Written, and not so when read back.")
    others: Names = Field(default=[], description="Changed meanwhile by somebody else.")


class PipelineChanger(PipelineReader):
    """Rename, describe, tag and set up."""

    async def update(
        self,
        pipeline: str,
        *,
        name: str = "",
        description: str = "",
        tags: Sequence[str] | None = None,
        patch: Mapping[str, Any] | None = None,
        clear: Sequence[Clearable] = (),
        dry_run: bool = False,
    ) -> PipelineChanged:
        """Change what is given and leave the rest. `patch` is a merge patch of retry_config, concurrency_config,
        settings, executor_type, cache_block_output_in_memory and run_pipeline_in_one_process.

        Never sends `blocks`, which would replace the pipeline's, nor `status`, which would switch all its triggers.
        Raises MageInvalid (nothing was sent), MageNotFound, MageWriteUncertain. Source: Mage Pipeline.update.
        """
        name = checked_name(name, what="pipeline") if name else ""
        wanted = _wanted(description, tags, clear)
        if not name and not wanted and not patch:
            raise MageInvalid("Nothing is given to change.", next_step="Give name, description, tags, patch or clear.")
        async with self._alone(pipeline, uuid_for(name)):
            before = await self.record(pipeline)
            body = _body(before, name, wanted, patch or {})
            if "name" in body:
                await self._refuse_taken(uuid_for(name), before)
            if dry_run or not body:
                return _planned(before, body)
            with anyio.CancelScope(shield=True):
                changed = await self._put(before, body)
        return changed

    @asynccontextmanager
    async def _alone(self, *pipelines: str) -> AsyncIterator[None]:
        """Nobody else of this process writes to any of them. Always in one order, or two calls could wait for ever."""
        first, *more = sorted(set(filter(None, pipelines)))
        async with self._transport.serial("pipeline", first):
            if not more:
                yield
                return
            async with self._transport.serial("pipeline", more[0]):
                yield

    async def _refuse_taken(self, uuid: str, record: PipelineRecord) -> None:
        if uuid == record.uuid:
            raise MageInvalid(
                f"Mage makes the same uuid {quoted(uuid)} of this name, and says it is taken; nothing was changed.",
                next_step="Choose a name that differs in more than spelling, or leave the name out.",
            )
        try:
            await self._read(uuid)
        except MageNotFound:
            return
        except MageFailed:
            pass  # there is one, of a kind that Mage cannot read
        raise MageInvalid(
            f"There is a pipeline {quoted(uuid)} already; nothing was changed.", next_step="Choose another name."
        )

    async def _put(self, before: PipelineRecord, body: dict[str, Any]) -> PipelineChanged:
        uuid = uuid_for(body["name"]) if "name" in body else before.uuid
        lost: MageError | None = None
        try:
            await self._transport.write("PUT", api("pipelines", before.uuid), {"pipeline": body})
        except (MageWriteUncertain, MageFailed, MageReplyInvalid) as error:
            lost = error
        try:
            back = await self._found(uuid, before.uuid)
        except MageError as error:
            raise lost or MageWriteUncertain(
                f"The change of {quoted(before.uuid)} was sent, but what became of it could not be read: {error.what}",
                next_step=f"Look with get_pipeline(pipeline={uuid!r}) before you try again.",
            ) from error
        was, now = _told(before, body), _told(back, body)
        not_kept = [key for key in body if not _is(back, key, body[key])]
        if lost is not None and same_json(was, now):
            raise lost
        notes = [
            "Mage's answer was an error or lost; this is what was read since." if lost else "",
            _RENAMED if back.uuid != before.uuid else "",
            _TOKENS_IN_CODE if _saves_triggers(back) and not _saves_triggers(before) else "",
        ]
        return PipelineChanged(
            changed=not same_json(was, now),
            pipeline=back.uuid,
            before=_shown(was),
            after=_shown(now),
            not_kept=not_kept,
            others=_changed_by_others(before, back, body),
            note=" ".join(filter(None, notes)),
        )

    async def _found(self, *uuids: str) -> PipelineRecord:
        """The first of these that exists."""
        for uuid in dict.fromkeys(uuids[:-1]):
            try:
                return await self._read(uuid)
            except MageNotFound:
                continue
        return await self._read(uuids[-1])


def _wanted(description: str, tags: Sequence[str] | None, clear: Sequence[Clearable]) -> dict[str, Any]:
    wanted: dict[str, Any] = {}
    if description:
        wanted["description"] = checked_text(description, what="description")
    if tags is not None:
        wanted["tags"] = checked_tags(tags)
    if both := sorted(set(wanted) & set(clear)):
        raise MageInvalid(f"{both[0]} is to be set and cleared at once; nothing was changed.", next_step="Decide.")
    return wanted | dict.fromkeys(clear, "")


def _body(record: PipelineRecord, name: str, wanted: dict[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Only what is not so yet."""
    body = {key: value for key, value in wanted.items() if not _is(record, key, value)}
    if name and name not in (record.name, record.uuid):
        body["name"] = name
    return body | changed_config(record, patch)


def _is(record: PipelineRecord, key: str, value: Any) -> bool:
    if key == "tags":
        return sorted(record.tags) == sorted(value)
    if key in ("name", "description"):
        return bool(getattr(record, key) == value)
    return same_config(getattr(record, key), value)


def _told(record: PipelineRecord, body: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of `body` as the record has them, the new name's uuid included."""
    told = {key: getattr(record, key) for key in body}
    return told | ({"uuid": record.uuid} if "name" in body else {})


def _shown(told: Mapping[str, Any]) -> dict[str, Any]:
    return {key: shorten(value, _LONGEST_SHOWN) if isinstance(value, str) else value for key, value in told.items()}


def _planned(record: PipelineRecord, body: dict[str, Any]) -> PipelineChanged:
    if not body:
        return PipelineChanged(changed=False, pipeline=record.uuid, note="It is so already; nothing was written.")
    was = _told(record, body)
    after = body | ({"uuid": uuid_for(body["name"])} if "name" in body else {})
    notes = [_RENAMED.replace("went", "go").replace("did not", "do not").replace("was not", "is not")]
    return PipelineChanged(
        changed=False,
        pipeline=record.uuid,
        before=_shown(was),
        after=after,
        would=_lines(was, after),
        note=notes[0] if "name" in body else "",
    )


def _lines(was: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """One a change. A description is somebody's text, and stands where it is marked as that."""
    told = [f"change {key}" for key in after if key == "description"]
    rest = [{key: value for key, value in side.items() if key != "description"} for side in (was, after)]
    return told + [f"change {line}" for line in diff_lines(*rest)]


def _saves_triggers(record: PipelineRecord) -> bool:
    triggers = record.settings.get("triggers")
    return isinstance(triggers, dict) and bool(triggers.get("save_in_code_automatically"))


def _changed_by_others(before: PipelineRecord, back: PipelineRecord, body: Mapping[str, Any]) -> list[str]:
    """What is another than it was, and was not sent: somebody else's, whatever it is."""

    def parts(record: PipelineRecord) -> dict[str, Any]:
        found = {"description": record.description, "tags": sorted(record.tags), **config_of(record)}
        found["blocks"] = {block.uuid: sorted(block.upstream_blocks) for block in record.blocks}
        return {key: value for key, value in found.items() if key not in body}

    was, now = parts(before), parts(back)
    changed = [key for key in was if not same_config(was[key], now[key])]
    names = {*before.variables, *back.variables}
    differing = (n for n in names if not same_json(before.variables.get(n), back.variables.get(n)))
    return changed + [one_line(f"variables.{name}", 80) for name in sorted(differing)]

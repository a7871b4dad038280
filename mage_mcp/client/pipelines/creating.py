"""Making pipelines: a new one, or a clone, which shares its block files with its source."""

from collections.abc import Sequence
from typing import Any, Literal

import anyio
from pydantic import Field

from mage_mcp.client.models import Change, Name, Names
from mage_mcp.client.paths import api
from mage_mcp.client.pipelines.config import checked_tags, checked_text
from mage_mcp.client.pipelines.reading import PipelineReader
from mage_mcp.client.pipelines.sharing import files_of, users_of
from mage_mcp.client.records import PipelineRecord
from mage_mcp.client.slugs import checked_name, uuid_for
from mage_mcp.client.triggers import without_ours
from mage_mcp.errors import (
    MageError,
    MageFailed,
    MageInvalid,
    MageNotFound,
    MageReplyInvalid,
    MageWriteUncertain,
)
from mage_mcp.text import one_line, quoted

NewPipelineType = Literal["python", "streaming", "integration", "databricks", "pyspark"]
"""What Mage can read back, pyspark only where its kernel is installed. It takes any word, and then answers errors."""

_MOST_NAMED = 10


class PipelineCreated(Change):
    pipeline: Name = Field(default="", description="Uuid that Mage made of the name.")
    type: str = ""
    blocks: Names = Field(default=[], description="Of a clone.")
    shared_files: Names = Field(default=[], description="Block files of a clone that other pipelines use as well.")
    shared_with: Names = Field(default=[], description="Those pipelines.")


class PipelineCreator(PipelineReader):
    """Create and clone."""

    async def create(
        self,
        name: str,
        *,
        type: NewPipelineType | None = None,  # noqa: A002 - Mage's word
        description: str = "",
        tags: Sequence[str] | None = None,
        clone_from: str = "",
        dry_run: bool = False,
    ) -> PipelineCreated:
        """Make a pipeline without blocks, or one with the blocks, settings and variables of another.

        Raises MageInvalid where one of that uuid exists (Mage would give a clone another name), MageNotFound for an
        unknown `clone_from`, MageWriteUncertain where the answer was lost and nothing can be found.
        Source: Mage PipelineResource.create, Pipeline.create and Pipeline.duplicate.
        """
        name = checked_name(name, what="pipeline")
        uuid = uuid_for(name)
        fields = _fields(type, description, tags)
        source = await self.record(clone_from) if clone_from else None
        if source and type not in (None, source.type):
            raise MageInvalid(
                f"A clone has the type of its source, {source.type}; nothing was created.",
                next_step="Leave type out, or create a pipeline without clone_from.",
            )
        if dry_run:
            await self._refuse_existing(uuid, name)
            made = PipelineCreated(changed=False, pipeline=uuid, type=type or "python")
            if source:
                made = await self._with_source(made, source)
            what = f"clone of {quoted(source.uuid)}" if source else f"{made.type} pipeline without blocks"
            return made.model_copy(update={"would": [f"create {quoted(uuid)}, a {what}"]})
        async with self._transport.serial("pipeline", uuid):
            await self._refuse_existing(uuid, name)
            with anyio.CancelScope(shield=True):
                made = await self._make(uuid, name, fields, source)
        return made

    async def _refuse_existing(self, uuid: str, name: str) -> None:
        try:
            found = await self._read(uuid)
        except MageNotFound:
            return
        except MageFailed:  # there is one, of a kind that Mage cannot read
            found = PipelineRecord(uuid=uuid)
        of_name = "" if uuid == name else f", which Mage makes of {one_line(name, 60)!r}"
        raise MageInvalid(
            f"There is a pipeline {quoted(uuid)}{of_name}: {found.type or 'of a type that Mage cannot read'}, "
            f"{len(found.blocks)} blocks. Nothing was created.",
            next_step=f"Choose another name; get_pipeline(pipeline={uuid!r}) shows the one there is.",
        )

    async def _make(
        self, uuid: str, name: str, fields: dict[str, Any], source: PipelineRecord | None
    ) -> PipelineCreated:
        # A clone by any name but a uuid fails, and leaves a pipeline that nobody can open.
        body = {"clone_pipeline_uuid": source.uuid, "name": uuid} if source else {**fields, "name": name}
        record, notes = await self._post(uuid, body)
        if record is None:
            kind = str(fields.get("type", ""))
            return PipelineCreated(changed=True, pipeline=uuid, type=kind, note=" ".join(notes))
        if source and (late := {key: value for key, value in fields.items() if key != "type"}):
            notes.append(await self._put_late(record.uuid, late))
        made = PipelineCreated(changed=True, pipeline=record.uuid, type=record.type)
        if source:
            made = await self._with_source(made, source)
            notes.append(made.note)
        else:
            notes.append(f"It has no blocks yet: create_block(pipeline={record.uuid!r}) adds one.")
        notes.append(await self._of_an_earlier_one(record.uuid))
        return made.model_copy(update={"note": " ".join(filter(None, notes))})

    async def _post(self, uuid: str, body: dict[str, Any]) -> tuple[PipelineRecord | None, list[str]]:
        """Send it once; what became of it, None where it is there but cannot be read, and what there is to say."""
        lost: MageError | None = None
        try:
            reply = await self._transport.write("POST", api("pipelines"), {"pipeline": body})
            answered = reply.get("pipeline")
            if isinstance(answered, dict) and isinstance(answered.get("uuid"), str):
                uuid = answered["uuid"]
        except (MageWriteUncertain, MageFailed, MageReplyInvalid) as error:
            lost = error
        try:
            record = await self._read(uuid)
        except MageNotFound:
            raise lost or MageFailed(f"Mage took {quoted(uuid)} but does not have it.") from None
        except MageFailed as error:
            if lost is None:
                note = f"It was created, but Mage cannot open it: {error.exception}. delete_pipeline removes it."
                return None, [note]
            raise lost from None
        except MageError as error:
            raise MageWriteUncertain(
                f"The request for {quoted(uuid)} was sent, but what became of it could not be read: {error.what}",
                next_step=f"Look with get_pipeline(pipeline={uuid!r}) before you try again.",
            ) from error
        if lost is None:
            return record, []
        if isinstance(lost, MageFailed):
            raise MageFailed(
                f"{lost.what} There is a pipeline {quoted(uuid)} now all the same, of this call or of somebody else.",
                exception=lost.exception,
                next_step=f"Look at it with get_pipeline(pipeline={uuid!r}).",
            )
        return record, ["Mage's answer was lost; the pipeline was found since."]

    async def _put_late(self, uuid: str, fields: dict[str, Any]) -> str:
        """What Mage does not take for a clone. A word where it failed."""
        try:
            await self._transport.write("PUT", api("pipelines", uuid), {"pipeline": fields})
        except MageError as error:
            return f"Its {' and '.join(fields)} could not be set ({error.what}): try update_pipeline."
        return ""

    async def _with_source(self, made: PipelineCreated, source: PipelineRecord) -> PipelineCreated:
        shared = await users_of(self._transport, files_of(source), besides=made.pipeline)
        triggers = without_ours(await self._triggers.of_pipeline(source.uuid))
        note = "Its blocks use the files of its source: a change to one is a change to all that share it."
        if triggers:
            note = f"{note} Triggers are not copied; {quoted(source.uuid)} has {len(triggers)}."
        return made.model_copy(
            update={
                "type": source.type,
                "blocks": [block.uuid for block in source.blocks],
                "shared_files": list(shared),
                "shared_with": sorted({user for users in shared.values() for user in users}),
                "note": note if source.blocks else "",
            }
        )

    async def _of_an_earlier_one(self, uuid: str) -> str:
        """A word on triggers that outlived a pipeline of this uuid: they are the new one's, and start it."""
        try:
            left = without_ours(await self._triggers.of_pipeline(uuid))
        except MageError:
            return ""
        if not left:
            return ""
        ids = ", ".join(f"{record.id} ({record.status})" for record in left[:_MOST_NAMED])
        return f"Triggers of an earlier pipeline of this name are its triggers now: {ids}; look with list_triggers."


def _fields(kind: NewPipelineType | None, description: str, tags: Sequence[str] | None) -> dict[str, Any]:
    fields: dict[str, Any] = {"type": kind or "python"}
    if description:
        fields["description"] = checked_text(description, what="description")
    if tags:
        fields["tags"] = checked_tags(tags)
    return fields

"""Making blocks."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio

from mage_mcp.client.blocks.code import check_block
from mage_mcp.client.blocks.edges import checked_upstream, listed
from mage_mcp.client.blocks.models import BlockChange, BlockType, Language
from mage_mcp.client.blocks.reading import BlockReader, some
from mage_mcp.client.blocks.settings import checked_settings
from mage_mcp.client.evidence import block_file, blocks_of
from mage_mcp.client.near import did_you_mean
from mage_mcp.client.paths import api, block_uuid
from mage_mcp.client.pipelines.sharing import users_of
from mage_mcp.client.records import BlockRecord, PipelineRecord
from mage_mcp.client.slugs import checked_name, uuid_for
from mage_mcp.client.texts import Text, writable
from mage_mcp.errors import MageError, MageInvalid, MageNotFound, MageRefused, MageWriteUncertain
from mage_mcp.text import one_line, quoted


@dataclass(frozen=True)
class _New:
    """A block to be made, checked."""

    pipeline: str
    block: str
    file: str
    body: dict[str, Any] = field(repr=False)
    upstream: list[str]
    content: str
    reuses_file: bool
    used_by: list[str]
    note: str = ""

    @property
    def acts(self) -> list[str]:
        after = f"after {listed(self.upstream)}" if self.upstream else "without a block upstream"
        add = f"add block {quoted(self.block)} to {quoted(self.pipeline)}, {after}"
        if self.reuses_file:
            too = f", as {listed(self.used_by)} does" if self.used_by else ""
            return [add, f"let it use {quoted(self.file)} as it is{too}"]
        what = "your text" if self.content else "a template"
        return [add, f"make {quoted(self.file)} from {what}"]


class BlockCreator(BlockReader):
    """Make blocks."""

    async def create(
        self,
        pipeline: str,
        name: str,
        *,
        type: BlockType,  # noqa: A002 - Mage's word
        language: Language | None = None,
        content: str = "",
        template: str = "",
        upstream_blocks: Sequence[str] = (),
        configuration: dict[str, Any] | None = None,
        reuse_file: bool = False,
        dry_run: bool = False,
    ) -> BlockChange:
        """Add a block at the end of a pipeline, with a file of its own, and read back what became of it.

        The file is new, unless `reuse_file` takes one that exists as it is.

        Raises MageInvalid and MageNotFound (nothing was written), MageWriteUncertain where the block, its edges or its
        text are not what was sent. Source: Mage BlockResource.create; writes to one pipeline must be serial, for of
        many at once Mage loses most.
        """
        async with self._transport.serial("pipeline", pipeline):
            record = await self._pipeline(pipeline)
            if record.type == "integration":
                raise MageInvalid(
                    f"{quoted(record.uuid)} is an integration pipeline, whose blocks are a source and a destination; "
                    "nothing was written.",
                    next_step="Ask the person to set it up in Mage's own UI.",
                )
            uuid, shown_name = _identity(name, record)
            row = await self._chosen(template, type) if template else None
            block = BlockRecord(uuid=uuid, type=type, language=(row or {}).get("language") or language or "python")
            _refuse_both(content, template, reuse_file=reuse_file, language=block.language)
            upstream = checked_upstream(upstream_blocks, record, of=uuid)
            file = block_file(block)
            content = writable(content, file, allow_empty=False) if content else ""
            note = check_block(content, block.language, type, file) if content else ""
            async with self._transport.serial("file", file):
                users = await self._users(file, record.uuid, reuse_file=reuse_file)
                body: dict[str, Any] = {"name": shown_name, "type": type, "language": block.language}
                body |= {"content": content} if content else {}
                body |= {"config": {"template_path": template}} if template else {}
                body |= {"upstream_blocks": upstream, "configuration": checked_settings(configuration or {})}
                new = _New(record.uuid, uuid, file, body, upstream, content, reuse_file, users, note)
                if dry_run:
                    return _answer(new, changed=False, would=new.acts)
                return await self._create(new)

    async def _chosen(self, template: str, type: BlockType) -> dict[str, Any]:  # noqa: A002 - Mage's word
        """The template's row: Mage takes any path below its own folder, of whatever type."""
        known = {str(row.get("path")): row for row in await self._template_rows() if row.get("block_type") == type}
        if template not in known:
            raise MageNotFound(
                f"There is no template {one_line(template, 80)!r} for a {type}; nothing was written.",
                next_step=did_you_mean(template, known, where=f"for a {type}"),
            )
        return known[template]

    async def _users(self, file: str, pipeline: str, *, reuse_file: bool) -> list[str]:
        """The other pipelines that use the file. Raises MageInvalid where it exists unasked, or does not and should."""
        there = await self._texts.find(file)
        if there is None and not reuse_file:
            return []
        if there is None:
            raise MageInvalid(
                f"There is no file {quoted(file)} to reuse; nothing was written.", next_step="Leave reuse_file out."
            )
        users = (await users_of(self._transport, [file], besides=pipeline)).get(file, [])
        if reuse_file:
            return users
        used = f", which {listed(users)} uses" if users else ", which no pipeline uses"
        raise MageInvalid(
            f"A block of that name would share the file {quoted(file)}{used}; nothing was written.",
            next_step="Choose another name, or take the file as it is with reuse_file=true and without content.",
        )

    async def _create(self, new: _New) -> BlockChange:
        said: MageError | None = None
        with anyio.CancelScope(shield=True):
            try:
                await self._transport.write("POST", api("pipelines", new.pipeline, "blocks"), {"block": new.body})
            except (MageWriteUncertain, MageRefused) as error:
                said = error
            try:
                record, text = await self._pipeline(new.pipeline), await self._texts.find(new.file)
            except MageError as error:
                if said is not None:
                    raise said from None
                return _answer(new, changed=True, note=f"It was made, but could not be read back: {error.what}")
        found = blocks_of(record).get(new.block)
        if found is None:
            raise _not_there(new, text, said)
        return _made(new, found, text, said)


def _identity(name: str, record: PipelineRecord) -> tuple[str, str]:
    """The uuid that Mage will give it, and its name.

    Raises MageInvalid where the pipeline has that block: under another type Mage would leave a file behind.
    """
    name = checked_name(name, what="block")
    first, *rest = name.split("/")
    # Only the very first character must not be a digit.
    uuid = block_uuid("/".join([uuid_for(first), *(uuid_for(f"x{part}")[1:] for part in rest)]))
    if any(not part.strip("_") for part in uuid.split("/")):
        raise MageInvalid(
            f"{one_line(name, 60)!r} makes no name of a file; nothing was written.",
            next_step="Give a name such as 'load_orders' or 'staging/load_orders'.",
        )
    if uuid in blocks_of(record):
        raise MageInvalid(
            f"{quoted(record.uuid)} has a block {quoted(uuid)} already; nothing was written.",
            next_step="Choose another name, or change that one with update_block.",
        )
    return uuid, name


def _refuse_both(content: str, template: str, *, reuse_file: bool, language: str) -> None:
    if sum((bool(content), bool(template), reuse_file)) > 1:
        raise MageInvalid(
            "content, template and reuse_file exclude each other; nothing was written.", next_step="Give one of them."
        )
    if language == "yaml" and not (content or template or reuse_file):
        raise MageInvalid(
            "Mage would fill a YAML block with Python; nothing was written.", next_step="Give its content."
        )


def _not_there(new: _New, text: Text | None, said: MageError | None) -> MageError:
    left = f" The file {quoted(new.file)} is there." if text is not None and not new.reuses_file else ""
    if said is None:
        return MageWriteUncertain(
            f"Mage made block {quoted(new.block)}, but {quoted(new.pipeline)} does not have it: somebody else wrote "
            f"the pipeline at the same time.{left}",
            next_step="Look with get_pipeline, then try again, with reuse_file=true if the file is there.",
        )
    next_step = "Look with get_pipeline before you try again." if isinstance(said, MageWriteUncertain) else ""
    return type(said)(f"{said.what} {quoted(new.pipeline)} has no such block now.{left}", next_step=next_step)


def _made(new: _New, found: BlockRecord, text: Text | None, said: MageError | None) -> BlockChange:
    notes = [new.note]
    if isinstance(said, MageWriteUncertain):
        notes.append("Mage's answer was lost; the block was looked for and is there.")
    elif said is not None:
        notes.append(f"Mage made it and then failed: {said.what}")
    if found.upstream_blocks != new.upstream:
        notes.append("Its upstream blocks are not those that were sent: somebody else changed them, or Mage did.")
    if text is None:
        notes.append("Its file is not there.")
    elif new.content and text.content != new.content:
        notes.append("Its file does not hold the text that was sent: somebody else wrote it, or Mage did not.")
    if new.used_by:
        notes.append("It shares its file: a change to it reaches them all.")
    if not new.content and not new.reuses_file:
        notes.append("Its code is a template so far: get_block shows it, update_block fills it in.")
    return _answer(new, changed=True, note=" ".join(filter(None, notes)), text=text, upstream=found.upstream_blocks)


def _answer(
    new: _New,
    *,
    changed: bool,
    would: Sequence[str] = (),
    note: str = "",
    text: Text | None = None,
    upstream: Sequence[str] | None = None,
) -> BlockChange:
    return BlockChange(
        changed=changed,
        would=list(would),
        pipeline=new.pipeline,
        block=new.block,
        file=new.file,
        hash=text.hash if text is not None else "",
        upstream=list(new.upstream if upstream is None else upstream),
        used_by=some(new.used_by),
        note=note or new.note,
    )

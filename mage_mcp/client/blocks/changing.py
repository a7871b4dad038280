"""Changing blocks: their code, their edges, their configuration."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import anyio

from mage_mcp.client.blocks.code import check_block, replaced
from mage_mcp.client.blocks.creating import BlockCreator
from mage_mcp.client.blocks.edges import checked_upstream, listed, waiting_for
from mage_mcp.client.blocks.models import BlockChange
from mage_mcp.client.blocks.reading import block_in, file_of, some
from mage_mcp.client.blocks.settings import new_settings
from mage_mcp.client.clusters.config_patch import diff_lines
from mage_mcp.client.clusters.same import same_json
from mage_mcp.client.paths import api
from mage_mcp.client.pipelines.sharing import users_of
from mage_mcp.client.records import BlockRecord, PipelineRecord
from mage_mcp.client.texts import Text, TextChange
from mage_mcp.errors import MageError, MageInvalid, MageWriteUncertain
from mage_mcp.text import quoted

_OLD, _NEW = "old", "new"


@dataclass(frozen=True)
class _Place:
    """A block's edges and configuration as they are to be."""

    record: PipelineRecord
    found: BlockRecord
    upstream: list[str]
    settings: dict[str, Any]

    @property
    def moves(self) -> bool:
        return self.upstream != self.found.upstream_blocks

    @property
    def settings_lines(self) -> list[str]:
        return diff_lines(self.found.configuration, self.settings)

    @property
    def acts(self) -> list[str]:
        acts = []
        if self.moves:
            was, new = (listed(names) or "none" for names in (self.found.upstream_blocks, self.upstream))
            acts.append(f"set the upstream of {quoted(self.found.uuid)} to {new} (was {was})")
        return acts + [f"set its configuration.{line}" for line in self.settings_lines]


class BlockChanger(BlockCreator):
    """Change blocks."""

    async def update(
        self,
        pipeline: str,
        block: str,
        *,
        content: str = "",
        replace: Mapping[str, str] | None = None,
        expected_hash: str = "",
        upstream_blocks: Sequence[str] | None = None,
        configuration: dict[str, Any] | None = None,
        allow_empty: bool = False,
        dry_run: bool = False,
    ) -> BlockChange:
        """Change a block's text (all of it, or `old` into `new`), the blocks upstream, and keys of its configuration.

        The text first, then the rest, each read back. `content` needs the hash it was read with; an empty one with
        `allow_empty` empties the file.

        Raises MageInvalid and MageNotFound (nothing was written), MageWriteUncertain where it is not known what is now;
        what was done before the error stands in it. Source: Mage BlockResource.update, which ignores `content`,
        replaces the configuration whole, and drops unknown upstream blocks together with the edges there were.
        """
        old_new = _old_new(replace)
        has_text = bool(content) or allow_empty or old_new is not None
        _refuse_nothing(content, old_new, has_text or upstream_blocks is not None or configuration is not None)
        async with self._transport.serial("pipeline", pipeline):
            record = await self._pipeline(pipeline, content=True)
            found = _whole_block(record, block)
            place = _place(record, found, upstream_blocks, configuration)
            file = file_of(found, record)
            text = None
            notes: list[str] = []
            if has_text:

                def change(before: Text | None) -> str:
                    new = _new_text(before, found, file, content, old_new, expected_hash)
                    notes.append(check_block(new, found.language, found.type, file) if new.strip() else "")
                    return new

                text = await self._texts.edit(
                    file, change, expected_hash=expected_hash, allow_empty=allow_empty, dry_run=dry_run
                )
            try:
                after = found if dry_run else await self._move(place)
            except MageError as error:
                raise _half_done(error, text) from None
            users = (await users_of(self._transport, [file], besides=record.uuid)).get(file, []) if text else []
            return _answer(place, after, file, text, users, notes, dry_run=dry_run)

    async def _move(self, place: _Place) -> BlockRecord:
        """Write edges and configuration, and read them back."""
        uuid, found = place.found.uuid, place.found
        bodies: list[dict[str, Any]] = []
        if place.moves:
            if set(place.upstream) == set(found.upstream_blocks):
                # Mage takes another order of the same blocks for no change at all.
                bodies.append({"upstream_blocks": place.upstream[:-1]})
            bodies.append({"upstream_blocks": place.upstream})
        if place.settings_lines:
            bodies.append({"configuration": place.settings})
        if not bodies:
            return found
        trouble: MageError | None = None
        path = api("pipelines", place.record.uuid, "blocks", uuid)
        with anyio.CancelScope(shield=True):
            for number, body in enumerate(bodies):
                try:
                    await self._transport.write("PUT", path, {"block": body})
                except MageError as error:
                    if not number and not isinstance(error, MageWriteUncertain):
                        raise
                    trouble = error
                    break
            after = block_in(await self._pipeline(place.record.uuid), uuid)
        if after.upstream_blocks == place.upstream and same_json(after.configuration, place.settings):
            return after
        raise MageWriteUncertain(
            f"{trouble.what if trouble else 'Mage took the change.'} Read back, the upstream of {quoted(uuid)} is "
            f"{listed(after.upstream_blocks) or 'none'}, and not all is as it was to be.",
            next_step="Look with get_block, then send what is missing again.",
        )


def _old_new(replace: Mapping[str, str] | None) -> tuple[str, str] | None:
    if replace is None:
        return None
    if set(replace) != {_OLD, _NEW}:
        raise MageInvalid(
            "replace takes an object with old and new; nothing was written.",
            next_step='For instance {"old": "0.2", "new": "0.25"}; new may be empty.',
        )
    return replace[_OLD], replace[_NEW]


def _refuse_nothing(content: str, old_new: tuple[str, str] | None, has_any: bool) -> None:
    if content and old_new is not None:
        raise MageInvalid("content and replace exclude each other; nothing was written.", next_step="Give one.")
    if not has_any:
        raise MageInvalid(
            "There is nothing to change; nothing was written.",
            next_step="Give content (an empty one with allow_empty), replace, upstream_blocks or configuration.",
        )


def _whole_block(record: PipelineRecord, block: str) -> BlockRecord:
    """The block itself: the children of a dynamic one have no code of their own."""
    found = block_in(record, block)
    if found.uuid != block:
        raise MageInvalid(
            f"{quoted(block)} is made by {quoted(found.uuid)} when that runs; nothing was written.",
            next_step=f"Change {quoted(found.uuid)}.",
        )
    return found


def _place(
    record: PipelineRecord,
    found: BlockRecord,
    upstream_blocks: Sequence[str] | None,
    configuration: dict[str, Any] | None,
) -> _Place:
    stands_in_graph = any(block.uuid == found.uuid for block in record.blocks)
    if not stands_in_graph and (upstream_blocks is not None or configuration is not None):
        raise MageInvalid(
            f"{quoted(found.uuid)} is a {found.type}: only its code is changed here; nothing was written.",
            next_step="Ask the person to change what it is attached to in Mage's own UI.",
        )
    upstream, settings = found.upstream_blocks, found.configuration
    if upstream_blocks is not None:
        upstream = checked_upstream(upstream_blocks, record, of=found.uuid)
    if configuration is not None:
        settings = new_settings(settings, configuration)
    return _Place(record, found, upstream, settings)


def _new_text(
    before: Text | None,
    found: BlockRecord,
    file: str,
    content: str,
    old_new: tuple[str, str] | None,
    expected_hash: str,
) -> str:
    """What the file is to hold. Raises MageInvalid where it is not the block's, or was not read before."""
    if before is not None and before.content != (found.content or ""):
        raise MageInvalid(
            f"{quoted(file)} does not hold what Mage runs as {quoted(found.uuid)}, or changed this moment; nothing was "
            "written.",
            next_step="Read it again with get_block.",
        )
    if old_new is not None:
        return replaced(before.content if before else "", *old_new, file)
    if before is not None and not expected_hash:
        raise MageInvalid(
            "content replaces the whole text, so it needs the hash of the text that it was made from; nothing was "
            "written.",
            next_step="Read the block with get_block and give its hash as expected_hash, or use replace.",
        )
    return content


def _half_done(error: MageError, text: TextChange | None) -> MageError:
    if text is None or not text.changed:
        return error
    done = f"The new text of {quoted(text.path)} is written already."
    kept = f" Its former text is kept in {text.backup}." if text.backup else ""
    return type(error)(f"{error.what} {done}{kept}", next_step=error.next_step)


def _answer(
    place: _Place,
    after: BlockRecord,
    file: str,
    text: TextChange | None,
    users: list[str],
    notes: Sequence[str],
    *,
    dry_run: bool,
) -> BlockChange:
    would = place.acts if dry_run else []
    is_new = text is not None and (text.before is None or text.before is not text.after)
    if dry_run and is_new:
        would = [f"change {quoted(file)} as the diff says", *would]
    changed = not dry_run and (bool(place.acts) or (text is not None and text.changed))
    words = [*notes, text.note if text is not None else ""]
    if users and is_new:
        words.append("The same file is used by other pipelines: it changes for them too.")
    if is_new and place.found.replicated_block:
        words.append(f"It is a replica: {quoted(place.found.replicated_block)} has the same text.")
    if not changed and not would:
        words = ["Nothing to change: it is so already."]
    hash_now = text.after.hash if text is not None and text.after is not None and not dry_run else ""
    return BlockChange(
        changed=changed,
        would=would,
        pipeline=place.record.uuid,
        block=place.found.uuid,
        file=file,
        hash=hash_now,
        diff=text.diff if text is not None else "",
        backup=text.backup if text is not None else "",
        upstream_before=place.found.upstream_blocks if place.moves else [],
        upstream=(place.upstream if dry_run else after.upstream_blocks) if place.moves else [],
        downstream=waiting_for(place.record, place.found.uuid),
        configuration=place.settings_lines,
        used_by=some(users),
        note=" ".join(filter(None, words)),
    )

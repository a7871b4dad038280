"""The project's text files: a folder at a time, a file in whole or in part, and written so that no change is lost."""

import asyncio
import json
from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from mage_mcp.client.blocks.code import check_code, replaced
from mage_mcp.client.lines import part_of
from mage_mcp.client.models import Answer, Change, Name, Names, Page, Untrusted, UtcTime
from mage_mcp.client.near import did_you_mean
from mage_mcp.client.paths import api
from mage_mcp.client.pipelines.sharing import users_of
from mage_mcp.client.project_paths import holds_secrets, project_path
from mage_mcp.client.replies import rows
from mage_mcp.client.texts import Text, Texts
from mage_mcp.client.transport import Transport
from mage_mcp.errors import MageInvalid, MageNotFound, MageRefused
from mage_mcp.text import MASK, one_line, quoted, show

_OWNED = {
    "metadata.yaml": "update_pipeline, create_block and update_block change it, and see to it that it stays whole.",
    "triggers.yaml": "create_trigger and update_triggers change it.",
}
"""Files of a pipeline's folder that Mage keeps a copy of in memory, or in its database."""

FileText = Annotated[str, Untrusted(block="text")]
Diff = Annotated[str, Untrusted(block="diff")]


class FileRow(Answer):
    path: Name = Field(description="A folder's ends with a slash.")
    size_bytes: int | None = Field(default=None, description="Told by a search alone.")
    closed: str = Field(default="", description="Why it is neither read nor written here.")


class FilePage(Page):
    folder: Name = ""
    items: list[FileRow]


class FileDetail(Answer):
    """A file, or a part of one."""

    path: Name
    hash: str = Field(default="", description="For write_file; only where the whole text is shown.")
    lines: int = 0
    from_line: int = 0
    to_line: int = 0
    size_bytes: int
    modified_at: UtcTime | None = None
    used_by: Names = Field(default=[], description="Pipelines with a block in it.")
    content: FileText = ""
    note: str = ""


class FileChange(Change):
    """What was written, or would be."""

    path: Name = ""
    diff: Diff = ""
    hash: str = Field(default="", description="Of the text now.")
    backup: Name = Field(default="", description="Where the server keeps the former text.")
    used_by: Names = Field(default=[], description="Pipelines that run it.")


FileRows = list[FileRow]


class Files:
    """Files of one project. Those of secrets are named and never opened."""

    def __init__(self, transport: Transport, texts: Texts) -> None:
        self._transport = transport
        self._texts = texts

    async def list(self, folder: str = "", *, search: str = "", limit: int = 50, offset: int = 0) -> FilePage:
        """What is in a folder, folders first; with `search` all files below it whose path contains that.

        Names that begin with a dot are not among it: Mage leaves them out. Raises MageNotFound for what is no folder.
        Source: Mage FileResource.collection.
        """
        folder = project_path(folder, what="folder") if folder else ""
        found = await (self._below(folder, search) if search else self._within(folder))
        where = f"{folder!r}" if folder else "the project"
        nothing = f"No path in {where} contains {search!r}." if search else f"There is nothing in {where}."
        page = found[offset : offset + limit]
        return FilePage.fitted(
            page, total=len(found), limit=limit, offset=offset, note="" if found else nothing, folder=folder
        )

    async def _within(self, folder: str) -> FileRows:
        try:
            found = rows(await self._transport.read(api("files"), directory_path=folder), "files")
        except MageRefused:
            raise await self._no_folder(folder) from None
        children = found[0].get("children") if found else None
        prefix = f"{folder}/" if folder else ""
        entries = [child for child in children or () if isinstance(child, dict)]
        paths = [f"{prefix}{child.get('name')}{'/' * ('children' in child)}" for child in entries]
        return [_row(path) for path in sorted(paths, key=lambda path: (not path.endswith("/"), path))]

    async def _no_folder(self, folder: str) -> MageNotFound:
        above, _, name = folder.rpartition("/")
        try:
            siblings = [row.path.strip("/").rpartition("/")[2] for row in await self._within(above)]
        except MageNotFound as error:
            return error
        where = f"in {above!r}" if above else "in the project's folder"
        return MageNotFound(
            f"The project has no folder {one_line(folder, 80)!r}.", next_step=did_you_mean(name, siblings, where=where)
        )

    async def _below(self, folder: str, search: str) -> FileRows:
        """Source: Mage's list with `flatten`, whose paths begin with the project's name."""
        found = rows(await self._transport.read(api("files"), flatten=True), "files")
        prefix = f"{folder}/" if folder else ""
        entries = {str(row.get("path")).partition("/")[2]: row.get("size") for row in found}
        return [
            _row(path, size if isinstance(size, int) else None)
            for path, size in sorted(entries.items())
            if path.startswith(prefix) and search.casefold() in path.casefold()
        ]

    async def get(self, path: str, *, from_line: int | None = None, to_line: int | None = None) -> FileDetail:
        """A file's text, secrets masked, with a hash where it is whole.

        Raises MageNotFound with the nearest names; MageInvalid for a file of secrets, a folder, what is no text, and
        lines that there are not.
        """
        text, users = await asyncio.gather(self._texts.read(path), users_of(self._transport, [path], besides=""))
        part = part_of(show(text.content), from_line, to_line, what=quoted(text.path))
        notes = part.notes()
        if text.hides:
            notes.append(f"Secrets stand as {MASK}, unseen characters are left out: change it by replace, not whole.")
        return FileDetail(
            path=text.path,
            hash=text.hash if part.is_whole else "",
            lines=part.total,
            from_line=0 if part.is_whole else part.first,
            to_line=0 if part.is_whole else part.last,
            size_bytes=text.size,
            modified_at=text.modified_at,
            used_by=users.get(text.path, []),
            content=part.text,
            note=" ".join(notes),
        )

    async def write(
        self,
        path: str,
        *,
        content: str = "",
        replace: Mapping[str, str] | None = None,
        expected_hash: str = "",
        allow_empty: bool = False,
        dry_run: bool = False,
    ) -> FileChange:
        """Make a file, replace one that still has the hash it was read with, or `old` by `new` in one.

        Python, YAML and JSON are parsed first, never run. Raises MageInvalid, MageNotFound (nothing was written),
        MageWriteUncertain.
        """
        _refuse_owned(await self._texts.checked(path))
        if (replace is None) is not (bool(content) or allow_empty):
            raise MageInvalid(
                "Give content or replace, one of them; nothing was written.",
                next_step="A file is made or left empty with allow_empty.",
            )
        if replace is not None and set(replace) != {"old", "new"}:
            raise MageInvalid(
                "replace takes an object with old and new, both texts; nothing was written.",
                next_step='For instance {"old": "import panda", "new": "import pandas"}; new may be empty.',
            )
        if replace is not None or expected_hash:
            await self._texts.read(path)  # says best what is there instead
        notes: list[str] = []

        def change(before: Text | None) -> str:
            new = _new_text(before, path, content, replace, expected_hash)
            if new.strip():
                notes.append(check_text(new, path))
            return new

        done = await self._texts.edit(
            path, change, expected_hash=expected_hash, allow_empty=allow_empty, dry_run=dry_run
        )
        users = (await users_of(self._transport, [done.path], besides="")).get(done.path, [])
        notes.append(done.note)
        would = [f"{'change' if done.before else 'make'} {quoted(done.path)} as the diff says"]
        if users and done.before:
            notes.append("It is a block's file: the pipelines in used_by change with it.")
        return FileChange(
            changed=done.changed,
            would=would if dry_run and done.diff else [],
            path=done.path,
            diff=done.diff,
            hash=done.after.hash if done.after and not dry_run else "",
            backup=done.backup,
            used_by=users,
            note=" ".join(note for note in notes if note),
        )


def check_text(content: str, path: str) -> str:
    """A word on what was not checked. Raises MageInvalid for what is no Python, YAML or JSON where it should be."""
    kind = path.rpartition(".")[2].casefold()
    try:
        if kind in {"yaml", "yml"}:
            import yaml  # 30 ms that only writing YAML needs

            try:
                list(yaml.parse(content, Loader=yaml.SafeLoader))
            except yaml.MarkedYAMLError as error:  # whose text repeats the line
                line = error.problem_mark.line + 1 if error.problem_mark else 1
                raise ValueError(f"{error.problem}, line {line}") from None
            except yaml.YAMLError as error:
                raise ValueError(type(error).__name__) from None
            return ""
        if kind == "json":
            json.loads(content)
            return ""
    except ValueError as error:
        raise MageInvalid(
            f"The new text of {quoted(path)} is no {kind.upper()}: {one_line(str(error))}; nothing was written."
        ) from None
    return check_code(content, "python" if kind == "py" else kind, path)


def _new_text(
    before: Text | None, path: str, content: str, replace: Mapping[str, str] | None, expected_hash: str
) -> str:
    if before is None:
        if replace is not None or expected_hash:
            raise MageNotFound(f"The project has no file {one_line(path, 80)!r} any more; nothing was written.")
        return content
    if replace is not None:
        return replaced(before.content, replace["old"], replace["new"], path)
    if not expected_hash:
        raise MageInvalid(
            f"{quoted(path)} exists already; nothing was written.",
            next_step="Read it with read_file and give its hash as expected_hash, or use replace.",
        )
    return content


def _refuse_owned(path: str) -> None:
    """The files that pipelines are made of have tools of their own."""
    first, _, rest = path.casefold().partition("/")
    name = rest.rpartition("/")[2]
    if first == "pipelines" and name in _OWNED:  # in any case: some disks make no difference
        raise MageInvalid(f"{quoted(path)} is not written here; nothing was written.", next_step=_OWNED[name])


def _row(path: str, size: int | None = None) -> FileRow:
    return FileRow(path=path, size_bytes=size, closed="may hold secrets" if holds_secrets(path.rstrip("/")) else "")

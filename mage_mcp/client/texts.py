"""Text files of a Mage project: read with a hash, and written so that nobody's change is lost unseen."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import anyio

from mage_mcp.client.backups import digest, keep
from mage_mcp.client.diffs import unified
from mage_mcp.client.near import did_you_mean, files_named
from mage_mcp.client.paths import api
from mage_mcp.client.project_paths import readable_path
from mage_mcp.client.records import parse_time
from mage_mcp.client.replies import root, rows
from mage_mcp.client.transport import Transport
from mage_mcp.errors import MageError, MageInvalid, MageNotFound, MageRefused, MageReplyInvalid, MageWriteUncertain
from mage_mcp.text import MASK, one_line, quoted, show

_LARGEST = 1_000_000
"""Bytes of a text that is written."""


@dataclass(frozen=True)
class Text:
    """A file as it is, with line ends as `\\n`; Mage reads them so whatever they are. `size` is on disk, in bytes."""

    path: str
    content: str
    size: int = 0
    modified_at: datetime | None = None

    @property
    def hash(self) -> str:
        """Of the text as it is, nothing masked."""
        return digest(self.content)

    @property
    def has_windows_line_ends(self) -> bool:
        line_ends = self.content.count("\n")
        return line_ends > 0 and self.size == len(self.content.encode("utf-8", "surrogatepass")) + line_ends

    @property
    def hides(self) -> bool:
        """Whether it is not shown as it is: secrets in it are masked, or it has characters that nobody sees."""
        return show(self.content) != self.content


@dataclass(frozen=True)
class TextChange:
    """What was done to a file, or would be done. `before` is None for a new file, `after` for a deleted one."""

    path: str
    before: Text | None
    after: Text | None
    changed: bool = False
    diff: str = ""
    backup: str = ""
    """Where on this machine the former text is kept."""
    note: str = ""


Edit = Callable[[Text | None], str]
"""From the file as it is right before the write (None: there is none) to its new text. Raises MageError to refuse."""


class Texts:
    """Read and write files of the project through Mage's `file_contents`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._project = ""

    async def find(self, path: str) -> Text | None:
        """The file, or None where there is no file at that path; a folder counts as none.

        Raises MageInvalid for a path out of the project or of secrets, and for what is no UTF-8 text. Source: Mage
        File.to_dict_async: a missing file and a folder have no size, an empty file has the size 0.
        """
        path = await self.checked(path)
        file = root(await self._transport.read(api("file_contents", self._sent(path))), "file_content")
        size, content = file.get("size"), file.get("content")
        if not str(file.get("path")).endswith(f"/{self._sent(path)}"):
            self._project = ""
            raise MageReplyInvalid(f"Asked for {quoted(path)}, Mage answered with another file.")
        if not isinstance(size, int) or not isinstance(content, str):
            return None
        if size and not content:
            raise MageInvalid(f"{quoted(path)} is not a text in UTF-8, so it is neither shown nor changed here.")
        return Text(path, content, size, parse_time(file.get("modified_timestamp")))

    async def checked(self, path: str) -> str:
        """A path that may be asked for, without the project's name in front. Raises MageInvalid for another."""
        path = readable_path(path)
        if not self._project:
            found = rows(await self._transport.read(api("status")), "statuses")
            folder = str(found[0].get("repo_path_root") or found[0].get("repo_path") or "") if found else ""
            self._project = folder.rstrip("/").rpartition("/")[2]
        return path.removeprefix(f"{self._project}/")

    def _sent(self, path: str) -> str:
        """With the project's name in front.

        Without it Mage, where it does not know the first folder, takes any file whose path ends so: `o_config.yaml` is
        `io_config.yaml` then, for reading and for writing. Source: Mage shared/path_fixer.py, add_absolute_path.
        """
        return f"{self._project}/{path}"

    async def read(self, path: str) -> Text:
        """The file.

        Raises MageNotFound where there is none, with the nearest names; MageInvalid as `find` does, and for a folder.
        """
        text = await self.find(path)
        if text is None:
            raise await self._missing(await self.checked(path))
        return text

    async def _missing(self, path: str) -> MageError:
        if await self._names(path) is not None:
            return MageInvalid(f"{quoted(path)} is a folder, not a file.", next_step="Name a file in it.")
        folder, _, name = path.rpartition("/")
        siblings = await self._names(folder)
        where = f"in {quoted(folder)}" if folder else "in the project's folder"
        step = await files_named(self._transport, name)
        if not step:
            step = f"There is no folder {folder!r}." if siblings is None else did_you_mean(name, siblings, where=where)
        return MageNotFound(f"The project has no file {one_line(path, 80)!r}.", next_step=step)

    async def _names(self, folder: str) -> list[str] | None:
        """What is in a folder; None where there is no such folder.

        Source: Mage FileResource.collection, which refuses a `directory_path` that is no folder.
        """
        try:
            found = rows(await self._transport.read(api("files"), directory_path=folder), "files")
        except MageRefused:
            return None
        children = found[0].get("children") if found else None
        return [str(child.get("name")) for child in children] if isinstance(children, list) else []

    async def write(
        self, path: str, content: str, *, expected_hash: str = "", allow_empty: bool = False, dry_run: bool = False
    ) -> TextChange:
        """Replace a file that still has the hash it was read with; without a hash, make a new file.

        Raises MageError as `edit` does.
        """

        def replaced(before: Text | None) -> str:
            if before is None and expected_hash:
                raise MageNotFound(f"The project has no file {quoted(path)} any more; nothing was written.")
            if before is not None and not expected_hash:
                raise MageInvalid(
                    f"{quoted(path)} exists already; nothing was written.",
                    next_step="Read it first, and give its hash as expected_hash to replace it.",
                )
            return content

        return await self.edit(path, replaced, expected_hash=expected_hash, allow_empty=allow_empty, dry_run=dry_run)

    async def edit(
        self,
        path: str,
        change: Edit,
        *,
        expected_hash: str = "",
        allow_empty: bool = False,
        dry_run: bool = False,
    ) -> TextChange:
        """Read a file, change its text, keep the former one, write it once, and read it back.

        Nobody else of this process writes it meanwhile. Who writes it from elsewhere between the read and the write is
        overwritten, which nothing here can see: Mage takes no condition with a write. It is one round trip.

        Raises MageInvalid where the file was changed since it had `expected_hash`, and for a text that must not be
        written (empty without `allow_empty`, with a mask in it); MageNotConfigured where the former text cannot be
        kept; MageWriteUncertain where it is not known what the file holds now. Source: Mage FileContentResource.update.
        """
        path = await self.checked(path)
        async with self._transport.serial("file", path):
            before = await self.find(path)
            _refuse_changed(before, expected_hash, path)
            content = writable(change(before), path, allow_empty=allow_empty)
            if before is None and await self._names(path) is not None:
                raise MageInvalid(f"{quoted(path)} is a folder; nothing was written.", next_step="Name a file in it.")
            after = Text(path, content, len(content.encode()))
            if before is not None and before.content == content:
                return TextChange(path, before, before, note="The file holds this text already; nothing was written.")
            diff = unified(before.content if before else "", content, path)
            if dry_run:
                return TextChange(path, before, after, diff=diff)
            backup = self.keep(before)
            try:
                after, note = await self._put(before, after)
            except MageWriteUncertain as error:
                kept = f" The former text is kept in {backup}." if backup else ""
                raise MageWriteUncertain(f"{error.what}{kept}", next_step=error.next_step) from None
            return TextChange(path, before, after, changed=True, diff=diff, backup=backup, note=note)

    def keep(self, before: Text | None) -> str:
        """Where a text was put that is about to go. Raises MageNotConfigured where that cannot be done."""
        if before is None:
            return ""
        cluster = self._transport.cluster
        content = _as_on_disk(before, before.content)
        return keep(before.path, content, cluster=cluster.name, now=self._transport.clock.utc())

    async def _put(self, before: Text | None, after: Text) -> tuple[Text, str]:
        """Write, look, and say what was found; the write and the look are never cut in the middle."""
        body = {"file_content": {"content": _as_on_disk(before, after.content)}}
        lost: MageWriteUncertain | None = None
        with anyio.CancelScope(shield=True):
            try:
                await self._transport.write("PUT", api("file_contents", self._sent(after.path)), body)
            except MageWriteUncertain as error:
                lost = error
            try:
                found = await self.find(after.path)
            except MageError as error:
                if lost is not None:
                    raise lost from None
                return after, f"It was written, but could not be read back: {error.what}"
        if found is not None and found.content == after.content:
            return found, "Mage's answer was lost; the file was read back and holds the new text." if lost else ""
        if lost is not None:
            raise lost
        raise MageWriteUncertain(
            f"{quoted(after.path)} was written, but then held another text than was sent: somebody else wrote it at "
            "the same time, and the text that was sent is not there.",
            next_step="Read it again, and put the change into what it holds now.",
        )

    async def delete(self, path: str, *, expected_hash: str = "", dry_run: bool = False) -> TextChange:
        """Delete a file, after its text was kept.

        Raises MageNotFound where there is none, else as `edit` does. Source: Mage FileResource.delete, which leaves the
        blocks that use the file where they are.
        """
        path = await self.checked(path)
        async with self._transport.serial("file", path):
            before = await self.read(path)
            _refuse_changed(before, expected_hash, path)
            if dry_run:
                return TextChange(path, before, None)
            backup = self.keep(before)
            note = ""
            with anyio.CancelScope(shield=True):
                try:
                    await self._transport.write("DELETE", api("files", self._sent(path)), {})
                except MageWriteUncertain:
                    if await self.find(path) is not None:
                        raise
                    note = "Mage's answer was lost; the file was looked for and is gone."
            return TextChange(path, before, None, changed=True, backup=backup, note=note)


def writable(content: str, path: str, *, allow_empty: bool) -> str:
    """The text with its line ends as `\\n`.

    Raises MageInvalid for one that must not be written.
    """
    content = content.replace("\r\n", "\n").replace("\r", "\n")
    if MASK in content:
        raise MageInvalid(
            f"The text for {quoted(path)} holds {MASK}, which stands where a secret was masked; nothing was written.",
            next_step="Change only the lines without it: replace a part of the text instead of the whole.",
        )
    if not content.strip() and not allow_empty:
        raise MageInvalid(
            f"The text for {quoted(path)} is empty; nothing was written.",
            next_step="If the file is to be empty, say so with allow_empty.",
        )
    try:
        size = len(content.encode())
    except UnicodeEncodeError:
        size = 0
    if "\x00" in content or (content and not size):
        raise MageInvalid(f"The text for {quoted(path)} holds characters that no text has; nothing was written.")
    if size > _LARGEST:
        raise MageInvalid(f"The text for {quoted(path)} has {size} bytes, over {_LARGEST}; nothing was written.")
    return content


def _refuse_changed(before: Text | None, expected_hash: str, path: str) -> None:
    if before is not None and expected_hash and expected_hash != before.hash:
        raise MageInvalid(
            f"{quoted(path)} has changed since it was read (its hash was {one_line(expected_hash, 40)} and is "
            f"{before.hash}); nothing was changed.",
            next_step="Read it again, and put the change into what it holds now.",
        )


def _as_on_disk(before: Text | None, content: str) -> str:
    """With the line ends that the file has."""
    return content.replace("\n", "\r\n") if before is not None and before.has_windows_line_ends else content

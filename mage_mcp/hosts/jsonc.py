"""One member of one object of a JSON file, put in or taken out; every other byte stays as it is.

The file keeps its comments, its trailing commas, its indentation and its line endings. A member that is put in and
taken out again leaves the bytes that were there before, save that an object which is empty then reads `{}`.
"""

import json
from typing import Any

from mage_mcp.hosts._jsonc_read import Document, Member, Node, NotJson, read

__all__ = ["Document", "NotJson", "put", "read", "take"]

_SPACE = " \t\r\n"


def put(text: str, table: str, name: str, value: dict[str, Any]) -> str:
    """The text with `name` in the object `table` at its top, both made where they are missing.

    Raises NotJson where the text is none, or where the top or `table` is no object.
    """
    root = read(text).root
    layout = _Layout(text, root)
    if root is None:
        gap = "" if not text or text.endswith("\n") else layout.newline
        return text + gap + layout.rendered({table: {name: value}}, "") + layout.newline
    holder = _object(root, "the file").member(table)
    if holder is None:
        return layout.inserted(root, table, {name: value}, flat=False)
    flat = layout.is_flat(root)
    entry = _object(holder.node, f"{table!r}").member(name)
    if entry is None:
        return layout.inserted(holder.node, name, value, flat=flat)
    flat = layout.is_flat(holder.node) or "\n" not in text[entry.node.start : entry.node.end]
    rendered = json.dumps(value, ensure_ascii=False) if flat else layout.rendered(value, layout.indent_at(entry.start))
    return text[: entry.node.start] + rendered + text[entry.node.end :]


def take(text: str, table: str, name: str) -> str:
    """The text without `name` in the object `table`; the same text where it is not there. Raises NotJson."""
    root = read(text).root
    holder = _object(root, "the file").member(table) if root else None
    entry = _object(holder.node, f"{table!r}").member(name) if holder else None
    if root is None or holder is None or entry is None:
        return text
    if len(holder.node.members) == 1 and not _has_comments(text, holder.node):
        # Where the whole object is ours, it goes too: ours it is when putting the member in would make it again.
        without = _without(text, root, holder)
        if put(without, table, name, entry.node.value) == text:
            return without
    return _without(text, holder.node, entry)


def _object(node: Node, what: str) -> Node:
    if not isinstance(node.value, dict):
        raise NotJson(f"In it, {what} is no object.")
    return node


def _has_comments(text: str, node: Node) -> bool:
    """Whether anything but its only member stands between the braces."""
    (only,) = node.members
    return bool(text[node.start + 1 : only.start].strip(_SPACE) or text[only.node.end : node.end - 1].strip(_SPACE))


def _without(text: str, node: Node, member: Member) -> str:
    start = len(text[: member.start].rstrip(_SPACE))
    end = member.node.end if member.comma is None else member.comma + 1
    before, after = text[:start], text[end:]
    index = node.members.index(member)
    if member.comma is None and index:  # the comma that leads to it goes with it
        comma = node.members[index - 1].comma
        before = before if comma is None else before[:comma] + before[comma + 1 :]
    if len(node.members) == 1 and not (before[node.start + 1 :] + text[end : node.end - 1]).strip(_SPACE):
        return text[: node.start] + "{}" + text[node.end :]
    spaced = before + text[start : member.start] + after
    return before + after if _reads_as(before + after, read(spaced).value) else spaced


def _reads_as(text: str, value: Any) -> bool:
    """False where what followed has become part of a comment that stands before it."""
    try:
        return bool(read(text).value == value)
    except NotJson:
        return False


class _Layout:
    """How the file is written, for what is added to it to look the same."""

    def __init__(self, text: str, root: Node | None) -> None:
        self._text = text
        self._root = root
        self.newline = "\r\n" if "\r\n" in text else "\n"
        first = root.members[0] if root and root.members else None
        self._unit = (self.indent_at(first.start) if first and root and not self.is_flat(root) else "") or "  "

    def indent_at(self, position: int) -> str:
        line = self._text[self._text.rfind("\n", 0, position) + 1 : position]
        return line[: len(line) - len(line.lstrip(" \t"))]

    def is_flat(self, node: Node) -> bool:
        """Whether no line ends beside its members, or within its braces where it has only comments."""
        text = self._text
        if not node.members:
            return node.inside > node.start + 1 and "\n" not in text[node.start : node.end]
        first, last = node.members[0].start, node.members[-1].node.end
        return "\n" not in text[node.start : first] and "\n" not in text[last : node.end]

    def rendered(self, value: Any, indent: str) -> str:
        lines = json.dumps(value, indent=self._unit, ensure_ascii=False).split("\n")
        return (self.newline + indent).join(lines)

    def inserted(self, node: Node, key: str, value: Any, *, flat: bool) -> str:
        """`"key": value` as the last member of the object."""
        text, last = self._text, node.members[-1] if node.members else None
        bare = last is None and not text[node.start + 1 : node.end - 1].strip(_SPACE)
        flat = flat if bare else self.is_flat(node)
        written = json.dumps(key, ensure_ascii=False) + ": "
        tail = text[node.inside :]
        if flat:
            gap = "" if bare else " "
            member = gap + written + json.dumps(value, ensure_ascii=False)
        else:
            outer = self.indent_at(node.start)
            indent = self.indent_at(last.start) if last and self._starts_its_line(last.start) else outer + self._unit
            member = self.newline + indent + written + self.rendered(value, indent)
            if bare:
                tail = self.newline + outer + text[node.end - 1 :]
        if last is None:
            return text[: node.inside] + member + tail
        if last.comma is not None:
            return text[: node.inside] + member + "," + tail
        return text[: last.node.end] + "," + text[last.node.end : node.inside] + member + tail

    def _starts_its_line(self, position: int) -> bool:
        return not self._text[self._text.rfind("\n", 0, position) + 1 : position].strip(" \t")

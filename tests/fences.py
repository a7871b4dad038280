"""Reading Markdown as a renderer does: what stands in fenced blocks, and what a reader takes for our own words."""

import re
from dataclasses import dataclass

_OPENS = re.compile(r" {0,3}(?P<marks>`{3,}|~{3,})(?P<info>.*)")


@dataclass
class Fenced:
    label: str
    """The line before the block."""
    language: str
    text: str


def read_markdown(markdown: str) -> tuple[str, list[Fenced]]:
    """The text outside of fenced blocks, and the blocks. One that is not closed reaches to the end (CommonMark)."""
    outside: list[str] = []
    blocks: list[Fenced] = []
    marks = ""
    for line in markdown.split("\n"):
        opens = _OPENS.fullmatch(line)
        if marks:
            if opens and opens["marks"].startswith(marks) and not opens["info"].strip():
                marks = ""
            else:
                blocks[-1].text += f"{line}\n"
        elif opens and not ("`" in opens["marks"] and "`" in opens["info"]):
            marks = opens["marks"]
            blocks.append(Fenced(outside[-1] if outside else "", opens["info"].strip(), ""))
        else:
            outside.append(line)
    assert not marks, "a fence is not closed"
    return "\n".join(outside), blocks

"""`python -m tests.readme` writes the table of tools into the README; the tests only look whether it is current."""

import sys
from pathlib import Path

from mage_mcp.tools import ALL

README = Path(__file__).parents[1] / "README.md"
_BEGIN, _END = "<!-- tools: written by `python -m tests.readme`, checked by the tests -->\n", "<!-- /tools -->"


def table() -> str:
    """A row a tool: toolset, risk, and the first sentence of its description."""
    rows = ["| tool | toolset | risk | what it does |", "| --- | --- | --- | --- |"]
    for name, toolset in ALL.items():
        rows += [
            f"| `{tool.name}` | {name} | {toolset.risks()[tool.name].value} | {tool.description.splitlines()[0]} |"
            for tool in toolset.tools(read_only=False)
        ]
    return "\n".join(rows) + "\n"


def with_table(text: str) -> str:
    head, _, rest = text.partition(_BEGIN)
    return head + _BEGIN + table() + _END + rest.partition(_END)[2]


def main() -> int:
    """Write it, or with `--check` only say whether it is current."""
    text = README.read_text(encoding="utf-8")
    if "--check" in sys.argv:
        return int(text != with_table(text))
    README.write_text(with_table(text), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""`python -m tests.picture` draws docs/demo.svg: what `mage-mcp demo` really shows, the most telling part of it."""

import html
import io
import re
import sys
from pathlib import Path

import anyio
from rich.console import Console

from mage_mcp.tour.guide import Pace, take_the_tour
from mage_mcp.tour.rich_screen import RichScreen
from mage_mcp.tour.story import Step, a_cluster_is_stopped, why_it_failed

PICTURE = Path(__file__).parents[1] / "docs" / "demo.svg"
PART: tuple[Step, ...] = (why_it_failed, a_cluster_is_stopped)
_WIDTH = 100
_FONT = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
_REMOTE = re.compile(r"@font-face\s*{{.*?}}\s*", re.DOTALL)


def drawn() -> str:
    """The picture, of a run of its own; the same each time."""
    console = Console(
        record=True,
        file=io.StringIO(),
        width=_WIDTH,
        force_terminal=True,
        color_system="truecolor",
        no_color=False,
        legacy_windows=False,
        highlight=False,
        markup=False,
        emoji=False,
    )
    anyio.run(take_the_tour, RichScreen(console), Pace.fast(), PART)
    return console.export_svg(title="mage-mcp demo", code_format=_code_format(), unique_id="demo")


def _code_format() -> str:
    """As rich draws it, without the font that it would fetch from elsewhere: GitHub lets no picture do that."""
    from rich._export_format import CONSOLE_SVG_FORMAT

    return _REMOTE.sub("", CONSOLE_SVG_FORMAT).replace("Fira Code, monospace", _FONT)


def words(svg: str) -> str:
    """All that can be read in it, without where it stands."""
    return " ".join(html.unescape(" ".join(re.findall(r"<text[^>]*>([^<]*)</text>", svg))).split())


def main() -> int:
    """Draw it, or with `--check` only say whether its words are current."""
    if "--check" in sys.argv:
        return int(words(PICTURE.read_text(encoding="utf-8")) != words(drawn()))
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(drawn(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

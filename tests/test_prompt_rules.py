"""Rules for the files in `prompts/`, for the facts they name, and for what a host is told at the start."""

import re
from pathlib import Path

import pytest
from mcp import Client

from mage_mcp.commands._demo import demo_clusters
from mage_mcp.instructions import instructions
from mage_mcp.prompting.page import Block, outline, page
from mage_mcp.prompts import Written, all_facts, folder, load
from mage_mcp.server import build_server
from mage_mcp.settings import TOOLSETS, Cluster, Settings
from mage_mcp.tools import ALL
from mage_mcp.tools._answer import DATA
from tests.fences import read_markdown
from tests.test_prompts import AMONG_SEVERAL, MOST_BYTES

ROOT = Path(__file__).parents[1]
FILES = sorted(folder().glob("*.md"))
TOOLS = {tool.name: name for name, toolset in ALL.items() for tool in toolset.tools(read_only=False)}
SEVERAL = Settings(clusters=demo_clusters("http://mage.test"))


@pytest.fixture(params=FILES, ids=lambda file: file.stem)
def written(request: pytest.FixtureRequest) -> Written:
    return Written.read(request.param)


def test_prompts_stand_at_the_top_and_are_all_tested():
    assert folder() == ROOT / "prompts"
    assert {file.stem for file in FILES} == {written.name for written in load()} == set(AMONG_SEVERAL)


def test_the_readme_tells_of_every_prompt(written: Written):
    (row,) = (line for line in (ROOT / "README.md").read_text("utf-8").splitlines() if f"| `{written.name}` |" in line)
    assert written.description in row
    assert all(f"`{argument.name}`" in row for argument in written.arguments)


def test_every_head_is_complete(written: Written):
    assert re.fullmatch(r"[a-z]+(_[a-z]+)+", written.name)
    assert written.title[0].isupper()
    assert written.description.endswith(".")
    assert len(written.description) <= 120
    assert set(written.toolsets) <= set(TOOLSETS)
    for argument in written.arguments:
        assert re.fullmatch("[a-z]+", argument.name)
        assert (argument.description or "").endswith(".")
        assert isinstance(argument.required, bool)


def test_required_arguments_come_first(written: Written):
    """Some hosts fill them in by their order."""
    required = [argument.required for argument in written.arguments]
    assert required == sorted(required, reverse=True)


def test_every_placeholder_is_known_and_blocks_have_lines_of_their_own(written: Written):
    assert set(written.body.get_identifiers()) <= set(all_facts())
    for line in written.body.template.splitlines():
        if line.startswith("$") and line.strip().removeprefix("$").isidentifier():
            continue
        for name in re.findall(r"\$\{?([a-z_]+)", line):
            assert all_facts()[name].room <= 1_000, f"${name} stands within a line"


def test_every_fact_is_used():
    assert {name for written in load() for name in written.body.get_identifiers()} == set(all_facts())


def test_words_and_facts_fit_into_the_budget_whatever_the_facts_are(written: Written):
    uses = re.findall(r"\$\{?([a-z_]+)", written.body.template)
    assert len(written.body.template.encode()) + sum(all_facts()[name].room for name in uses) <= MOST_BYTES


def test_the_words_name_tools_that_there_are_and_that_are_on(written: Written):
    named = set(re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", written.body.template))
    for word in named & set(TOOLS):
        assert TOOLS[word] in written.toolsets, word
    verbs = {name.partition("_")[0] for name in TOOLS}
    assert {word for word in named - set(all_facts()) if word.partition("_")[0] in verbs} <= set(TOOLS)


def test_the_words_say_that_what_is_fenced_is_data(written: Written):
    assert any(all_facts()[name].room > 1_000 for name in written.facts) <= (
        "written by others" in " ".join(written.body.template.split())
    )


@pytest.mark.parametrize(
    "text", ["", "+++\nname = 'x'\n", "+++\ntitle = 'X'\n+++\nwords\n", "+++\nname = \n+++\nwords\n"]
)
def test_an_incomplete_head_is_not_overlooked(text: str, tmp_path: Path):
    file = tmp_path / "x.md"
    file.write_text(text)
    with pytest.raises((ValueError, KeyError, TypeError)):
        Written.read(file)


@pytest.mark.parametrize("room", [0, 50, 200, 500, 5_000])
@pytest.mark.parametrize(
    "text", ["a" * 3_000, "é" * 3_000, "`" * 3_000, "~~~\n```\n" * 300, "line\n" * 1_000, "\ud83d\n" * 9]
)
@pytest.mark.parametrize("from_end", [False, True])
def test_a_page_has_the_room_it_is_given_and_no_more(room: int, text: str, from_end: bool):
    told = page(
        [Block("One", text, from_end=from_end), Block("Nothing here."), Block("Two", text, language="a`b")], room
    )
    assert len(told.encode()) <= max(room, 150)
    outside, blocks = read_markdown(told)
    assert all(block.label.endswith(f"({DATA}):") for block in blocks)
    assert "```" not in outside
    if blocks and room == 5_000 and text.startswith("line"):
        kept = blocks[0].text.splitlines()
        assert kept[0 if from_end else -1].startswith(("(earlier lines", "… (cut"))


def test_an_outline_is_read_with_ease():
    told = outline(
        {"run": 1, "ok": True, "tags": ["a", "b"], "none": [], "at": {"x": "1\n2"}, "rows": [{"a": 1}, {"b": {"c": 2}}]}
    )
    assert told.splitlines() == [
        "run: 1",
        "ok: true",
        "tags: a, b",
        "none: (none)",
        "at:",
        "  x:",
        "    | 1",
        "    | 2",
        "rows:",
        "  - a: 1",
        "  - b:",
        "      c: 2",
    ]


@pytest.mark.parametrize("toolsets", [TOOLSETS, ("pipelines",), ("runs",), ("clusters",), ("triggers",)])
@pytest.mark.parametrize("confirm", ["ask", "person", "never"])
@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize(
    "clusters", [(Cluster(),), SEVERAL.clusters, tuple(Cluster(name=f"cluster-{i}") for i in range(40))]
)
def test_instructions_cost_little_and_name_only_tools_that_are_on(toolsets, confirm, read_only, clusters):
    told = instructions(Settings(toolsets=toolsets, confirm=confirm, read_only=read_only, clusters=clusters))
    assert len(told.encode()) <= 1_200
    named = set(re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", told)) & set(TOOLS)
    assert {TOOLS[word] for word in named} <= set(toolsets)
    assert "  " not in told
    assert "untrusted" in told
    assert ("only reads" in told) is read_only
    assert ("`confirm` code" in told) is (confirm == "ask" and not read_only)
    off = [toolset for toolset in TOOLSETS if toolset not in toolsets]
    assert ("--toolsets" in told) is bool(off)
    assert ", ".join(off) in told
    assert ("a change names its cluster" in told) is (len(clusters) > 1)


@pytest.mark.anyio
async def test_a_host_gets_the_instructions():
    settings = Settings()
    async with Client(build_server(settings)) as client:
        assert client.instructions == instructions(settings)

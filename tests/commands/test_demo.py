"""`mage-mcp demo`: a tour that needs nothing, tells nothing but what was answered, and leaves nothing behind."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from mage_mcp.cli import main
from mage_mcp.settings import DEFAULT_TOOLSETS
from mage_mcp.tour.guide import Guide, Pace
from mage_mcp.tour.screen import Line, PlainScreen, Screen, rows, screen_for
from mage_mcp.tour.server import SECRET, Reply, Server, launched
from mage_mcp.tour.story import STORY
from tests.host import Answer
from tests.picture import PICTURE, drawn, words

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
MODULE = ("-m", "mage_mcp")
WITHOUT_RICH = (
    "-c",
    "import sys\n"
    "class Blocker:\n"
    "    def find_spec(self, name, *rest):\n"
    "        if name.partition('.')[0] == 'rich': raise ModuleNotFoundError(name)\n"
    "sys.meta_path.insert(0, Blocker())\n"
    "from mage_mcp.cli import main; sys.exit(main())",
)
ANSWERED = ("answer", "code", "fault", "says")
"""The kinds of lines that are made from answers; questions and notices of progress are passed on as they are."""
on_posix = pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal, scripts or signals of POSIX")


class Recorded:
    """A screen that keeps what it is shown."""

    def __init__(self) -> None:
        self.lines: list[Line] = []

    def show(self, line: Line) -> None:
        self.lines.append(line)


@dataclass(frozen=True)
class Counting(Pace):
    """Reads at the calm pace without taking its time."""

    read_s: list[float] = field(default_factory=list)

    async def read(self, lines: int) -> None:
        self.read_s.append(Pace.calm().per_line_s * lines)


class Overheard:
    """A server whose replies are kept, and after which line each came."""

    def __init__(self, server: Server, screen: Recorded) -> None:
        self._server, self._screen = server, screen
        self.replies: list[tuple[int, Reply]] = []

    async def call(self, tool: str, arguments: dict[str, Any], progressed: Any) -> Reply:
        reply = await self._server.call(tool, arguments, progressed)
        self.replies.append((len(self._screen.lines), reply))
        return reply


@dataclass
class Tour:
    lines: list[Line]
    replies: list[tuple[int, Reply]]
    costs: list[int]
    reading_s: float

    @property
    def text(self) -> str:
        return "\n".join(line.text for line in self.lines)


@pytest.fixture(scope="session")
async def tour() -> Tour:
    """The whole of it, with the answers from which it was told."""
    screen, pace = Recorded(), Counting(0, 1000)

    async def asked(question: str) -> None:
        screen.show(Line("question", question))

    async with launched(pace.world, asked) as server:
        overheard = Overheard(server, screen)
        guide = Guide(overheard, screen, pace)  # type: ignore[arg-type]
        for step in STORY:
            await step(guide)
    return Tour(screen.lines, overheard.replies, guide.cost.answers, sum(pace.read_s))


def numbers(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w.])\d+(?:\.\d+)?", text))


@pytest.mark.anyio
async def test_every_number_that_is_shown_stands_in_the_answer_before_it(tour: Tour):
    ends = [start for start, _ in tour.replies[1:]] + [len(tour.lines)]
    seen: list[str] = []
    for (start, reply), end in zip(tour.replies, ends, strict=True):
        known = json.dumps(reply.data, ensure_ascii=False)
        lengths = {str(len(value)) for value in reply.data.values() if isinstance(value, list)}
        for line in tour.lines[start:end]:
            if line.kind in ANSWERED:
                assert numbers(line.text) <= numbers(known) | lengths, line
                seen += numbers(line.text)
    assert len(seen) >= 40


@pytest.mark.anyio
async def test_what_an_answer_cost_is_counted_as_the_tests_count_it(tour: Tour):
    counted = [Answer(reply.text, reply.data, is_error=False).tokens for _, reply in tour.replies]
    shown = [int(line.text.split()[0]) for line in tour.lines if line.kind == "cost"]
    assert shown == tour.costs
    assert all(abs(cost - count) <= 1 for cost, count in zip(shown, counted, strict=True))


@pytest.mark.anyio
async def test_names_and_words_of_the_answers_are_shown_as_they_are(tour: Tour):
    known = " ".join(json.dumps(reply.data, ensure_ascii=False) for _, reply in tour.replies)
    shown = " ".join(line.text for line in tour.lines if line.kind in ANSWERED)
    names = set(re.findall(r"\b[a-z]+_[a-z_]+\b|\b[A-Z]+_[A-Z_]+\b|\b\w+Error\b", shown))
    assert len(names) > 20
    assert {name for name in names if name not in known} == set()


@pytest.mark.anyio
async def test_the_value_of_a_secret_is_nowhere(tour: Tour):
    assert SECRET not in tour.text
    assert all(SECRET not in reply.text + json.dumps(reply.data) for _, reply in tour.replies)


@pytest.mark.anyio
async def test_the_calm_tour_takes_less_than_30_seconds(tour: Tour):
    waited = [float(line.text.partition(" s: ")[0]) for line in tour.lines if line.kind == "progress"]
    ends = [now for now, then in zip(waited, [*waited[1:], 0.0], strict=True) if then <= now]
    starts_s = 2.0
    assert 15 < tour.reading_s + sum(ends) / Pace.calm().world + starts_s < 30


@pytest.mark.anyio
@pytest.mark.parametrize("width", [40, 60, 80, 100])
async def test_no_row_is_wider_than_the_screen(tour: Tour, width: int):
    found = [str(row) for line in tour.lines for row in rows(line, width)]
    assert max(map(len, found)) <= width
    for line in tour.lines:
        if line.kind not in ("code", "fault"):  # these are cut
            assert "".join(row.text.strip() for row in rows(line, width)).replace(" ", "") == "".join(line.text.split())


@pytest.mark.anyio
@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp437", "utf-8"])
async def test_any_encoding_can_hold_it(tour: Tour, encoding: str):
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    for line in tour.lines:
        PlainScreen(out, 100).show(line)
    out.seek(0)
    assert "?" not in re.sub(r"[\w')]\?", "", out.read()), "nothing but questions ends in a question mark"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def on_a_terminal(lines: list[Line]) -> str:
    out = Terminal()
    screen: Screen = screen_for(out)
    for line in lines:
        screen.show(line)
    return out.getvalue()


def bare(text: str) -> list[str]:
    """The words, without colours and frames."""
    return re.sub(r"\x1b\[[\d;]*m|[╭╮╰╯─│└]|mage-mcp ", " ", text).split()


@pytest.mark.anyio
async def test_in_colours_the_words_are_the_same(tour: Tour, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("NO_COLOR", raising=False)
    coloured = on_a_terminal(tour.lines)
    plain = io.StringIO()
    for line in tour.lines:
        PlainScreen(plain, 100).show(line)
    assert "\x1b[" in coloured
    assert "╭" in coloured
    assert bare(coloured) == bare(plain.getvalue())


@pytest.mark.anyio
@pytest.mark.parametrize("variable", [("NO_COLOR", "1"), ("TERM", "dumb")], ids=" ".join)
async def test_no_colours_where_none_are_wanted(tour: Tour, variable: tuple[str, str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv(*variable)
    assert "\x1b" not in on_a_terminal(tour.lines)


@dataclass
class Place:
    """Folders of a user who has nothing, and a folder to work in."""

    root: Path

    def environment(self, **more: str) -> dict[str, str]:
        for name in ("home", "temp", "work"):
            (self.root / name).mkdir(exist_ok=True)
        temp = str(self.root / "temp")
        kept = {name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ}
        own = {"HOME": str(self.root / "home"), "TMPDIR": temp, "TEMP": temp, "PATH": temp, "PYTHONPATH": str(ROOT)}
        return {**kept, **own, "COLUMNS": "100", **more}

    def run(self, *arguments: str, python: tuple[str, ...] = MODULE, **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *python, "demo", *arguments]
        environment = self.environment(**more)
        return subprocess.run(
            command, cwd=self.root / "work", env=environment, capture_output=True, encoding="utf-8", check=False
        )

    def left_behind(self) -> list[Path]:
        return [file for file in self.root.rglob("*") if not file.is_dir()] + [*(self.root / "temp").iterdir()]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@dataclass(frozen=True)
class Ran:
    """How a run of the command went that was given nothing."""

    done: subprocess.CompletedProcess[str]
    took_s: float
    left_behind: list[Path]


@pytest.fixture(scope="session")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    place, began = Place(tmp_path_factory.mktemp("nothing")), time.monotonic()
    done = place.run("--fast", PYTHONIOENCODING="utf-8")
    return Ran(done, time.monotonic() - began, place.left_behind())


def test_it_needs_nothing_is_fast_if_told_to_and_leaves_nothing_behind(ran: Ran):
    assert ran.took_s < 20  # 2 s on an idle machine, which those of CI are not
    assert (ran.done.returncode, ran.done.stderr) == (0, "")
    assert ran.left_behind == []
    told, _, after = ran.done.stdout.partition("9 calls, ")
    for word in ("orders_refresh", "3 of 3 blocks done", "line 17", "interrupt run 18", "you        yes", "Stopped"):
        assert word in told, word
    for word in ("tokens for all", "claude mcp add mage", "client --help", "doctor"):
        assert word in after, word


@on_posix
def test_the_applications_that_are_here_get_their_own_commands(place: Place):
    place.environment()
    (place.root / "home" / ".cursor").mkdir()
    after = place.run("--fast", PYTHONIOENCODING="utf-8").stdout.partition("With your own Mage")[2]
    assert "client cursor --write" in after
    assert "client --help" not in after
    assert "client zed" not in after


def test_the_total_is_the_sum_and_the_list_costs_what_the_catalogue_says(ran: Ran, capsys: pytest.CaptureFixture[str]):
    text = ran.done.stdout
    total = sum(int(cost) for cost in re.findall(r"└ (\d+) tokens", text))
    assert f"9 calls, {total:,} tokens" in text
    assert main(["tools", "--json", "--demo", "--toolsets", ",".join(DEFAULT_TOOLSETS)]) == 0
    assert f"tools costs {json.loads(capsys.readouterr().out)['tokens']:,} tokens" in text


def test_nothing_that_the_user_configured_is_read(place: Place, ran: Ran):
    for folder in ("home/.config/mage-mcp", "home/Library/Application Support/mage-mcp", "work"):
        (place.root / folder).mkdir(parents=True, exist_ok=True)
        (place.root / folder / "config.toml").write_text("this is no TOML", encoding="utf-8")
    # Nor is code in the folder that the user happens to be in taken for a module of that name.
    (place.root / "work" / "mcp.py").write_text("raise SystemExit('not this one')", encoding="utf-8")
    mine = {
        "MAGE_READ_ONLY": "1",
        "MAGE_TOOLSETS": "triggers",
        "MAGE_URL": "http://127.0.0.1:1",
        "MAGE_CONFIRM": "never",
    }
    done = place.run("--fast", python=("-P", *MODULE), PYTHONIOENCODING="utf-8", **mine, MAGE_CONFIG="/nonexistent")
    assert done.stderr == ""
    assert done.stdout == ran.done.stdout


@on_posix
def test_without_rich_a_terminal_gets_plain_text(place: Place):
    with_rich, without = (_in_a_terminal(place, python) for python in (MODULE, WITHOUT_RICH))
    assert "\x1b[" in with_rich
    assert "\x1b" not in without
    assert bare(with_rich) == bare(without)


def _in_a_terminal(place: Place, python: tuple[str, ...]) -> str:
    import pty

    ours, theirs = pty.openpty()
    command = [sys.executable, *python, "demo", "--fast"]
    environment = place.environment(TERM="xterm-256color", LANG="C.UTF-8", PYTHONIOENCODING="utf-8")
    process = subprocess.Popen(command, cwd=place.root / "work", env=environment, stdout=theirs, stderr=theirs)
    os.close(theirs)
    seen = b""
    try:
        while chunk := os.read(ours, 65536):
            seen += chunk
    except OSError:  # how a pseudo-terminal ends on Linux
        pass
    os.close(ours)
    assert process.wait(20) == 0, seen
    return seen.decode()


@on_posix
def test_ctrl_c_ends_it_and_its_server(place: Place):
    command, environment = [sys.executable, *MODULE, "demo"], place.environment()
    with subprocess.Popen(
        command, cwd=place.root / "work", env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stderr
        assert any("list_pipelines" in line for line in process.stdout), process.stderr.read()
        process.send_signal(signal.SIGINT)
        rest, trouble = process.stdout.read(), process.stderr.read()
    assert process.returncode == 130
    assert rest.endswith("Stopped.\n")
    assert trouble == ""
    assert place.left_behind() == []


@on_posix
@pytest.mark.parametrize("last", ["mage-mcp demo", "trigger_pipeline(", "update_cluster_env_vars("])
def test_a_reader_that_has_had_enough_ends_it_quietly(place: Place, last: str):
    """Between two calls, while a call tells its progress, and while the server asks."""
    command, environment = [sys.executable, *MODULE, "demo", "--fast"], place.environment()
    with subprocess.Popen(
        command, cwd=place.root / "work", env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stderr
        assert any(last in line for line in process.stdout)
        process.stdout.close()
        trouble = process.stderr.read()
    assert (process.returncode, trouble) == (141, "")
    assert place.left_behind() == []


BREAKS_AT_ONCE = "sys.exit('line one\\nno room on the disk')"
BREAKS_AT_THE_FIRST_CALL = """
child = subprocess.Popen([{python!r}, *sys.argv[1:]], stdin=subprocess.PIPE)
for line in sys.stdin.buffer:
    if b'"tools/call"' in line:
        child.kill()
        sys.exit("no room on the disk")
    child.stdin.write(line)
    child.stdin.flush()
"""


@on_posix
@pytest.mark.parametrize("breaks", [BREAKS_AT_ONCE, BREAKS_AT_THE_FIRST_CALL], ids=["at once", "at the first call"])
def test_a_server_that_ends_is_told_with_its_last_words(
    breaks: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    python = tmp_path / "python"
    body = breaks.replace("{python!r}", repr(sys.executable))
    python.write_text(f"#!{sys.executable}\nimport subprocess, sys\n{body}\n", encoding="utf-8")
    python.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(python))
    assert main(["demo", "--fast"]) == 1
    told = capsys.readouterr()
    assert told.err.startswith("mage-mcp: The server ended: ")
    assert told.err.endswith("  no room on the disk\n")
    assert "Traceback" not in told.err


def test_a_server_that_cannot_be_started_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    assert main(["demo", "--fast"]) == 1
    assert capsys.readouterr().err.startswith("mage-mcp: The server could not be started: ")


def test_the_tour_and_the_web_server_are_two_things(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        main(["demo", "--fast", "--serve", "0"])
    assert ended.value.code == 2
    assert "not allowed with" in capsys.readouterr().err


def test_a_pace_is_a_number_above_0(capsys: pytest.CaptureFixture[str]):
    for wrong in ("0", "-1", "nan", "inf", "fast"):
        with pytest.raises(SystemExit):
            main(["--demo", "--demo-pace", wrong])
        assert "--demo-pace" in capsys.readouterr().err


def test_the_picture_shows_what_the_demo_shows():
    svg = PICTURE.read_text(encoding="utf-8")
    assert words(svg) == words(drawn()), "run `python -m tests.picture`"
    assert len(svg.encode()) < 100_000
    assert set(re.findall(r"https?://[\w.-]+", svg)) <= {"http://www.w3.org", "https://www.textualize.io"}

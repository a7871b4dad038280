"""What any command owes a person at a terminal: words they can use, Ctrl-C that ends it, pipes that may close."""

import os
import re
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mage_mcp import __version__
from mage_mcp.cli import main
from mage_mcp.commands import COMMANDS
from tests.locally import mute

MODULE = [sys.executable, "-m", "mage_mcp"]
PORT_OF_NOBODY = "http://127.0.0.1:9"
on_posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no pseudo-terminals of this kind")


@pytest.fixture(autouse=True)
def _nothing_is_configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("MAGE_")]:
        monkeypatch.delenv(name)
    for name in ("XDG_CONFIG_HOME", "MAGE_MCP_STATE_DIR"):
        monkeypatch.setenv(name, str(tmp_path))


def complaint(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    return err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--verison"], "mage-mcp: unrecognized arguments: --verison. Did you mean --version?"),
        (["docter"], "Did you mean doctor? `mage-mcp --help` says more."),
        (["demo", "--fats"], "mage-mcp demo: unrecognized arguments: --fats. Did you mean --fast?"),
        (["demo", "--fast", "twice"], "unrecognized arguments: twice. `mage-mcp demo --help` says more."),
        (["doctor", "--zzz"], "unrecognized arguments: --zzz. `mage-mcp doctor --help` says more."),
        (["secret", "lst"], "Did you mean list or set?"),
        (["client", "claude"], "Did you mean claude-code or claude-desktop? `mage-mcp client --help` says more."),
        (["client", "cursor", "--scope", "usr"], "Did you mean user?"),
        (["serve", "--port", "x"], "mage-mcp serve: argument --port: x is no port: a number from 0 to 65535."),
        (["demo", "--serve", "99999"], "argument --serve: 99999 is no port"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_misspelt_is_one_line_with_what_was_meant(
    capsys: pytest.CaptureFixture[str], words: list[str], says: str
):
    told = complaint(capsys, *words)
    assert says in told
    assert told.count("\n") == 1


@pytest.mark.parametrize(("command", "choices"), [("secret", "{set,list,delete}"), ("client", "codex,zed}")])
def test_what_is_left_out_is_told_with_the_choices(capsys: pytest.CaptureFixture[str], command: str, choices: str):
    told = complaint(capsys, command)
    assert choices in told
    assert "surplus" not in told


@pytest.mark.parametrize("word", ["--passwrd=planted-typed", "--passwrd planted-typed", "--tokn=planted-typed"])
@pytest.mark.parametrize("command", ["login", "logout", "secret list"])
def test_what_stands_behind_a_misspelt_option_is_not_repeated(
    capsys: pytest.CaptureFixture[str], command: str, word: str
):
    told = complaint(capsys, *command.split(), *word.split())
    assert word.partition("=")[0].split()[0] in told
    assert "planted" not in told


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_every_help_is_short_and_in_order(capsys: pytest.CaptureFixture[str], command: str):
    with pytest.raises(SystemExit) as ended:
        main([*command.split(), "--help"])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    assert told.startswith(f"usage: mage-mcp {command}".rstrip())
    assert len(told.splitlines()) < 80
    assert "surplus" not in told
    assert "demo-pace" not in told, "for the tour only"
    if command in {"login", "logout"}:
        assert "--toolsets" not in told, "it changes nothing there"


@pytest.mark.slow
def test_help_and_version_cost_little_more_than_python_with_pydantic():
    """Beside the same interpreter in the same run, for machines differ; the best of five, for they are shared."""

    def best(*words: str) -> float:
        taken = []
        for _ in range(5):
            before = os.times()
            subprocess.run([sys.executable, *words], check=True, capture_output=True)
            after = os.times()
            taken.append(after.children_user + after.children_system - before.children_user - before.children_system)
        return min(taken)

    assert best("-m", "mage_mcp", "--help") < 2 * best("-c", "import pydantic.main, argparse") + 0.02


@pytest.mark.slow
@pytest.mark.parametrize("words", [*([name, "--help"] for name in COMMANDS), ["client", "cursor"]], ids=" ".join)
def test_no_command_imports_what_it_does_not_need_yet(words: list[str]):
    code = f"import sys; sys.argv = ['mage-mcp', *{words!r}]\nfrom mage_mcp.cli import main\n"
    code += "try:\n    main()\nfinally:\n    print('loaded', *sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.rpartition("loaded ")[2].split())
    assert not loaded & {"mcp", "httpx", "keyring", "starlette", "uvicorn", "rich", "stamina", "yaml"}


def test_a_port_that_somebody_has_is_a_sentence(capsys: pytest.CaptureFixture[str]):
    with mute() as url:
        taken = url.rpartition(":")[2]
        assert main(["demo", "--serve", taken]) == 1
        demo = capsys.readouterr().err
        assert main(["serve", "--http", "--no-auth", "--port", taken]) == 2
        http = capsys.readouterr().err
    assert demo == f"mage-mcp: port {taken} cannot be had (Address already in use). 0 picks a free one.\n"
    assert taken in http.splitlines()[-1]


@on_posix
@pytest.mark.slow
@pytest.mark.parametrize("words", ["--help", "tools --toolsets all", "doctor --demo", "secret list", "client cursor"])
def test_output_may_be_piped_into_what_reads_nothing(words: str):
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run([*MODULE, *words.split()], stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    finally:
        os.close(writing)
    assert done.returncode == (0 if words == "--help" else 141)  # argparse itself minds nothing
    assert done.stderr == "" or words == "client cursor"
    assert "Broken" not in done.stderr


class Typing:
    """A person at a pseudo-terminal, which is the controlling one: Ctrl-C there is a signal."""

    def __init__(self, terminal: int, process: "subprocess.Popen[bytes]") -> None:
        self._terminal, self._process = terminal, process
        self.seen = ""

    def until(self, words: str, within_s: float = 15) -> None:
        ends = time.monotonic() + within_s
        while words not in self.seen and time.monotonic() < ends:
            ready, _, _ = select.select([self._terminal], [], [], 0.2)
            try:
                self.seen += os.read(self._terminal, 4096).decode() if ready else ""
            except OSError:  # how a pseudo-terminal ends on Linux
                break
        assert words in self.seen, self.seen

    def type(self, keys: str) -> None:
        os.write(self._terminal, keys.encode())

    def ended(self) -> int:
        code = self._process.wait(10)
        while select.select([self._terminal], [], [], 0)[0]:
            try:
                self.seen += os.read(self._terminal, 4096).decode()
            except OSError:
                break
        return code


_AT_ITS_OWN = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
)


@contextmanager
def typing(*words: str) -> Iterator[Typing]:
    import pty

    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", _AT_ITS_OWN, *MODULE, *words],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        yield Typing(ours, process)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        os.close(ours)


CTRL_C = "\x03"


@on_posix
@pytest.mark.slow
@pytest.mark.parametrize("words", [[], ["--demo"], ["serve"]], ids=["", "--demo", "serve"])
def test_the_bare_command_at_a_terminal_says_what_it_waits_for_and_ends_on_ctrl_c(words: list[str]):
    with typing(*words) as person:
        person.until("`mage-mcp demo` shows what it is for")
        time.sleep(1.5)  # it reads by now, which is when Ctrl-C had no effect
        person.type(CTRL_C)
        assert person.ended() < 0
    assert "Traceback" not in person.seen


@on_posix
@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "answers"),
    [
        (["login", "--url", PORT_OF_NOBODY], {"Email for": CTRL_C}),
        (["login", "--url", PORT_OF_NOBODY], {"Email for": "a@b.c\n", "Password of a@b.c": CTRL_C}),
        (["login", "--url", PORT_OF_NOBODY, "--token-stdin"], {"Token (not shown)": CTRL_C}),
        (["secret", "set", "KEY"], {"Value of MAGE_MCP_SECRET_KEY": CTRL_C}),
        (["secret", "set", "KEY"], {"Value of MAGE_MCP_SECRET_KEY": "planted\n", "Once more": CTRL_C}),
    ],
    ids=["email", "password", "token", "value", "value again"],
)
def test_a_question_is_left_by_ctrl_c_and_nothing_is_kept(words: list[str], answers: dict[str, str], tmp_path: Path):
    with typing(*words) as person:
        for question, answer in answers.items():
            person.until(question)
            time.sleep(0.3)  # the prompt is there before the keys are hidden
            person.type(answer)
        assert person.ended() == 2
    assert "nothing was kept." in person.seen
    assert "Traceback" not in person.seen
    assert "planted" not in person.seen
    assert not (tmp_path / "credentials.json").exists()


@on_posix
@pytest.mark.slow
@pytest.mark.parametrize("command", ["login", "doctor", "demo"])
def test_ctrl_c_while_something_is_under_way_ends_it_without_a_traceback(command: str):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        words = {"login": ("--url", url), "doctor": ("--url", url), "demo": ("--serve", "0")}[command]
        with typing(command, *words) as person:
            if command == "login":
                person.until("Email for")
                person.type("a@b.c\n")
                person.until("Password of")
                time.sleep(0.3)  # the prompt is there before the keys are hidden
                person.type("planted\n")
            if command == "demo":
                person.until("http://127.0.0.1:")
            else:
                asked = a_request_to(silent)
            person.type(CTRL_C)
            assert person.ended() == 130
            if command != "demo":
                asked.close()
    assert "Traceback" not in person.seen
    assert re.fullmatch(r"[^\0]*\^C\s*", person.seen)


def a_request_to(silent: socket.socket) -> socket.socket:
    """The connection on which something was asked that gets no answer; others only knocked."""
    silent.settimeout(15)
    while True:
        connection, _ = silent.accept()
        connection.settimeout(15)
        if connection.recv(1):
            return connection
        connection.close()


@pytest.mark.slow
@pytest.mark.parametrize("home", [None, "a file"])
@pytest.mark.parametrize(
    ("words", "code"),
    [("doctor --demo", 0), ("secret list", 0), ("tools", 0), ("client cursor --demo", 0), ("--version", 0)],
)
def test_a_home_that_is_not_set_or_is_no_folder_breaks_nothing_that_only_reads(
    home: str | None, words: str, code: int, tmp_path: Path
):
    environment = {
        name: os.environ[name] for name in ("PATH", "PYTHON_KEYRING_BACKEND", "SYSTEMROOT") if name in os.environ
    }
    if home:
        (tmp_path / "home").write_text("", encoding="utf-8")
        environment |= {"HOME": str(tmp_path / "home"), "USERPROFILE": str(tmp_path / "home")}
    done = subprocess.run(
        [*MODULE, *words.split()], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert "Traceback" not in done.stderr
    if words == "doctor --demo" and home:  # clusters cannot be stopped safely where nothing can be noted
        assert (done.returncode, "cannot be written to" in done.stdout) == (1, True)
    else:
        assert done.returncode == code, done.stdout + done.stderr
    if words == "--version":
        assert done.stdout == f"mage-mcp {__version__}\n"


@pytest.mark.slow
@pytest.mark.parametrize("words", [["secret", "set", "KEY"], ["client", "cursor", "--write", "--demo"]], ids=" ".join)
def test_what_cannot_be_written_is_a_sentence(words: list[str], tmp_path: Path):
    (tmp_path / "home").write_text("", encoding="utf-8")
    home = str(tmp_path / "home")
    environment = {**os.environ, "HOME": home, "USERPROFILE": home, "MAGE_MCP_STATE_DIR": f"{home}/state"}
    done = subprocess.run(
        [*MODULE, *words], env=environment, input="planted\n", capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert home in done.stderr
    assert "cannot be" in done.stderr
    assert "Traceback" not in done.stderr
    assert "planted" not in done.stdout + done.stderr

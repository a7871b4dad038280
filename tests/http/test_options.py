"""What `mage-mcp serve` refuses before it serves, and the files it reads and makes."""

import base64
import re
import subprocess
import sys
from pathlib import Path

import pytest
from _pytest.capture import CaptureFixture
from _pytest.logging import LogCaptureFixture

from mage_mcp import text
from mage_mcp.cli import main
from mage_mcp.errors import MageNotConfigured
from mage_mcp.http.keys import read_keys
from mage_mcp.http.names import allowed
from mage_mcp.http.serving import Where, open_door
from mage_mcp.http.tokens import Tokens

TOKEN = "t0ken-" + "x" * 40


@pytest.fixture(autouse=True)
def _no_secret_stays_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "_known", set())
    monkeypatch.setattr(text, "_known_pattern", None)


@pytest.fixture
def tokens(tmp_path: Path) -> str:
    return written(tmp_path / "tokens", TOKEN)


def written(file: Path, text: str, mode: int = 0o600) -> str:
    file.write_text(text, encoding="utf-8")
    file.chmod(mode)
    return str(file)


def refused(**where: object) -> str:
    with pytest.raises(MageNotConfigured) as caught:
        open_door(Where(**where))  # type: ignore[arg-type]
    return str(caught.value)


def test_without_a_token_file_nothing_is_served_and_it_is_told_how_to_make_one():
    said = refused()
    assert "no --token-file" in said
    assert "mage-mcp serve --new-token FILE" in said
    assert "--no-auth" in said


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.5", "mage.internal"])
def test_off_loopback_a_token_and_a_name_are_needed(host: str, tokens: str):
    assert "--no-auth is refused" in refused(host=host, no_auth=True, allowed_hosts=("x.test",))
    assert "--allowed-host NAME" in refused(host=host, token_file=tokens)
    door = open_door(Where(host=host, token_file=tokens, allowed_hosts=("x.test",)))
    assert door.names.enable_dns_rebinding_protection
    assert {"x.test", "x.test:*"} <= set(door.names.allowed_hosts)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.8.8.8"])
def test_on_loopback_the_names_of_this_machine_are_known(host: str):
    door = open_door(Where(host=host, no_auth=True))
    assert {"localhost:*", "127.0.0.1:*", "[::1]:*"} <= set(door.names.allowed_hosts)
    assert "http://localhost:*" in door.names.allowed_origins
    assert door.tokens is None


def test_contradictions_are_refused(tokens: str):
    assert "contradict" in refused(token_file=tokens, no_auth=True)
    for path in ("mcp", "/health"):
        assert "cannot be served" in refused(path=path, no_auth=True)


@pytest.mark.parametrize(
    ("given", "held"),
    [
        ("Mage.Example.COM", {"mage.example.com", "mage.example.com:*"}),
        ("mage:8443", {"mage:8443"}),
        ("fd00::1", {"[fd00::1]", "[fd00::1]:*"}),
    ],
)
def test_names_are_held_as_clients_send_them(given: str, held: set[str]):
    assert set(allowed("0.0.0.0", [given], []).allowed_hosts) >= held
    assert ("mage:8443:*" in allowed("0.0.0.0", [given], []).allowed_hosts) is False


@pytest.mark.parametrize("name", ["*", "*.example.com", "https://mage.example.com", "a/b", "", "a b"])
def test_what_is_no_name_is_refused(name: str):
    with pytest.raises(MageNotConfigured, match="--allowed-host"):
        allowed("127.0.0.1", [name], [])


@pytest.mark.parametrize("origin", ["*", "null", "app.example.com", "https://app.example.com/path", "https://*"])
def test_what_is_no_origin_is_refused(origin: str):
    with pytest.raises(MageNotConfigured, match="--allowed-origin"):
        allowed("127.0.0.1", [], [origin])


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", "holds no token"),
        ("# nothing yet\n\n", "holds no token"),
        ("short", "line 1 is shorter than 32"),
        (f"{TOKEN}\nbob: {TOKEN}", "line 2 repeats"),
        (f"{TOKEN} {TOKEN}", "line 1 is neither"),
        (f"a b: {TOKEN}", "line 1 is neither"),
    ],
)
def test_a_token_file_that_cannot_be_used_is_refused_without_repeating_it(tmp_path: Path, text: str, wrong: str):
    with pytest.raises(MageNotConfigured, match=wrong) as caught:
        Tokens(Path(written(tmp_path / "tokens", text)))
    assert TOKEN[:10] not in str(caught.value)


def test_a_token_file_that_is_not_there_or_no_text_is_refused(tmp_path: Path):
    with pytest.raises(MageNotConfigured, match="No such file"):
        Tokens(tmp_path / "none")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(MageNotConfigured, match="no text"):
        Tokens(tmp_path / "binary")


def test_tokens_with_a_name_and_without_know_their_callers(tmp_path: Path):
    other = TOKEN.replace("x", "y")
    tokens = Tokens(Path(written(tmp_path / "t", f"\ufeff# comment\r\n  alice:{TOKEN}\r\n{other}\n")))
    alice, unnamed = tokens.caller_of(TOKEN), tokens.caller_of(other)
    assert alice
    assert unnamed
    assert (alice.client_id, alice.subject) == ("alice", "alice")
    assert unnamed.subject == "unnamed"
    assert unnamed.client_id != "unnamed"
    assert TOKEN not in repr(alice)
    assert other not in repr(unnamed)
    for wrong in ("", TOKEN[:-1], f"{TOKEN} ", "alice"):
        assert tokens.caller_of(wrong) is None


@pytest.mark.skipif(sys.platform == "win32", reason="no modes")
def test_a_file_that_others_can_read_is_warned_about_unless_it_is_mounted(tmp_path: Path, caplog: LogCaptureFixture):
    file = Path(written(tmp_path / "open", TOKEN, 0o644))
    Tokens(file)
    assert f"chmod 600 {file}" in caplog.text
    caplog.clear()
    Tokens(Path(written(tmp_path / "closed", TOKEN, 0o600)))
    (tmp_path / "mounted").symlink_to(file)
    Tokens(tmp_path / "mounted")
    assert caplog.text == ""


def test_keys_are_read_as_base64_and_as_hex_in_their_order(tmp_path: Path):
    one, two, three = bytes(range(32)), bytes([0xFB, 0xEF] * 20), bytes([255] * 33)
    lines = (base64.b64encode(one).decode(), two.hex(), base64.urlsafe_b64encode(three).decode().rstrip("="))
    assert read_keys(Path(written(tmp_path / "k", "# keys\n" + "\n".join(lines)))) == (one, two, three)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", "holds no key"),
        ("c2hvcnQ=", "line 1, is no key"),
        ("not a key at all, but rather long for a line of text", "line 1, is no key"),
        (f"{'ab' * 32}\n{'AB' * 32}", "line 2, repeats"),
    ],
)
def test_a_keys_file_that_cannot_be_used_is_refused(tmp_path: Path, text: str, wrong: str):
    with pytest.raises(MageNotConfigured, match=wrong):
        read_keys(Path(written(tmp_path / "k", text)))


def test_fresh_secrets_are_added_and_never_shown(tmp_path: Path, capsys: CaptureFixture[str]):
    tokens, keys = tmp_path / "tokens", tmp_path / "keys"
    tokens.write_text("# no newline at the end")
    for _ in range(2):
        assert main(["serve", "--new-token", str(tokens), "--new-key", str(keys)]) == 0
    comment, *made = tokens.read_text().splitlines()
    assert comment == "# no newline at the end"
    assert len(made) == len(set(made)) == 2
    assert all(Tokens(tokens).caller_of(token) for token in made)
    assert len(read_keys(keys)) == 2
    if sys.platform != "win32":
        assert keys.stat().st_mode & 0o777 == 0o600
    said = capsys.readouterr().out
    assert not any(secret in said for secret in (*made, *keys.read_text().splitlines()))
    assert f"--token-file {tokens}" in said
    assert main(["serve", "--new-token", str(tmp_path / "none" / "tokens")]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_options_of_http_without_it_are_refused(capsys: CaptureFixture[str]):
    given = {
        "--host": "0.0.0.0",
        "--port": "0",
        "--path": "/",
        "--allowed-host": "x",
        "--allowed-origin": "http://x",
        "--token-file": "x",
        "--keys-file": "x",
    }
    for option, value in given.items():
        assert main(["serve", option, value]) == 2
        assert f"{option} is for HTTP only" in capsys.readouterr().err
    assert main(["serve", "--no-auth"]) == 2
    assert "Add --http" in capsys.readouterr().err


def test_serving_stdio_imports_nothing_of_this():
    code = "import sys, mage_mcp.commands.serve, mage_mcp.server; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not [name for name in done.stdout.split() if name.startswith("mage_mcp.http")]


def test_settings_options_stand_before_the_command_or_after(capsys: CaptureFixture[str]):
    for arguments in (["--demo", "serve", "--http"], ["serve", "--http", "--demo"]):
        assert main(arguments) == 2
        assert "no --token-file" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["serve", "--help"])
    assert re.search(r"--keys-file FILE", capsys.readouterr().out)

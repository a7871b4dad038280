"""The store: where entries lie, who can read them, and what becomes of a keyring that fails."""

import json
import logging
import os
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from keyring.backends import fail, null
from pydantic import SecretStr

from mage_mcp import text
from mage_mcp.client import Cluster
from mage_mcp.credentials import KeptLogin, Store, StoreUnusable, cloud_key, cluster_key
from tests.keyrings import Broken, Hanging, Memory, using

KEY = "login prod https://mage.test"
BUS = "DBUS_SESSION_BUS_ADDRESS"
LOGIN = KeptLogin("planted-kept-token", 1.5e9, "ada@example.com", "planted-kept-password", ours=True)
posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no modes")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "credentials.json"


@pytest.fixture
def store(file: Path) -> Store:
    return Store(limit_s=5, file=file)


@pytest.fixture
def memory() -> Iterator[Memory]:
    backend = Memory()
    with using(backend):
        yield backend


@pytest.fixture
def no_keyring() -> Iterator[None]:
    with using(fail.Keyring()):
        yield


def test_a_store_that_is_not_asked_opens_nothing(file: Path, memory: Memory):
    Store(file=file)
    assert memory.asked == []
    assert not file.parent.exists()


def test_a_login_lies_in_the_keyring_and_comes_back(store: Store, file: Path, memory: Memory):
    place = store.keep_login(KEY, LOGIN)
    assert (place.kind, place.title, place.problem) == ("keyring", "the system's keyring (test)", "")
    assert store.login(KEY) == LOGIN
    assert not file.exists()
    assert text.redact("x planted-kept-token planted-kept-password") == f"x {text.MASK} {text.MASK}"
    assert store.forget_login(KEY) == ["keyring"]
    assert store.login(KEY) is None
    assert store.forget_login(KEY) == []
    assert set(memory.entries) == {"index"}


def test_a_login_without_a_password_keeps_none(store: Store, memory: Memory):
    store.keep_login(KEY, KeptLogin("planted-kept-token"))
    assert set(json.loads(memory.entries[KEY])) == {"token", "ours", "kept_at"}
    assert store.login(KEY) == KeptLogin("planted-kept-token")


@pytest.mark.parametrize("backend", [fail.Keyring, null.Keyring])
def test_without_a_keyring_it_lies_in_a_file(store: Store, file: Path, backend: type):
    with using(backend()):
        place = store.keep_login(KEY, LOGIN)
        assert place.kind == "file"
        assert str(file) in place.title
        assert place.problem == "", "that there is no keyring is no failure"
        assert store.login(KEY) == LOGIN
        store.keep_secret("MAGE_MCP_SECRET_A", "planted-a")
        assert store.login(KEY) == LOGIN
        assert store.forget_login(KEY) == ["file"]
        assert store.login(KEY) is None
        assert store.secret("MAGE_MCP_SECRET_A") == "planted-a"


@posix
def test_the_file_is_readable_by_its_owner_only_whatever_the_umask(store: Store, file: Path, no_keyring: None):
    before = os.umask(0)
    try:
        store.keep_login(KEY, LOGIN)
        store.keep_login(KEY, LOGIN)
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert [path.name for path in file.parent.iterdir()] == [file.name]


@posix
def test_while_it_is_written_no_file_is_open_to_others(file: Path):
    """All files that are there at the moment when the text takes its place: itself and the lock."""
    code = """
import os, stat, sys
from pathlib import Path
from mage_mcp.credentials import KeptLogin, Store
def look(event, arguments):
    if event == "os.rename":
        print([oct(stat.S_IMODE(path.stat().st_mode)) for path in Path(arguments[1]).parent.iterdir()])
sys.addaudithook(look)
os.umask(0)
Store(file=Path(sys.argv[1])).keep_login("key", KeptLogin("token"))
"""
    environment = {**os.environ, "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(file)], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["['0o600', '0o600']"]


@posix
def test_a_file_that_others_could_read_is_closed_and_that_is_said(
    store: Store, file: Path, no_keyring: None, caplog: pytest.LogCaptureFixture
):
    store.keep_login(KEY, LOGIN)
    file.chmod(0o644)
    with caplog.at_level(logging.WARNING):
        assert store.login(KEY) == LOGIN
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "could be read by others" in caplog.text
    assert "planted" not in caplog.text


@posix
def test_a_file_of_somebody_else_is_not_read(
    store: Store, file: Path, no_keyring: None, monkeypatch: pytest.MonkeyPatch
):
    store.keep_login(KEY, LOGIN)
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    with pytest.raises(StoreUnusable, match="no file of yours"):
        store.login(KEY)


@pytest.mark.parametrize("content", ["{", "[]", '{"a": 1}', "[" * 100_000, b"\xff"])
def test_a_damaged_file_is_a_sentence_and_is_not_replaced(
    store: Store, file: Path, no_keyring: None, content: str | bytes
):
    file.parent.mkdir()
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    file.chmod(0o600)
    for use in (lambda: store.login(KEY), lambda: store.keep_login(KEY, LOGIN)):
        with pytest.raises(StoreUnusable, match="is damaged: remove it"):
            use()
    assert file.read_bytes() == (content if isinstance(content, bytes) else content.encode())


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path, no_keyring: None):
    (tmp_path / "taken").write_text("")
    store = Store(file=tmp_path / "taken" / "credentials.json")
    assert store.login(KEY) is None
    with pytest.raises(StoreUnusable, match="cannot be written"):
        store.keep_login(KEY, LOGIN)


@pytest.mark.parametrize("entry", ["", "no json", "[]", "{}", '{"token": 7, "expires": "x", "password": null}'])
def test_an_entry_that_is_none_of_ours_counts_as_an_empty_one(store: Store, memory: Memory, entry: str):
    memory.entries[KEY] = entry
    assert store.login(KEY) == KeptLogin()


# A keyring that fails


def test_where_the_keyring_fails_it_lies_in_the_file_and_why_is_said(store: Store, file: Path):
    with using(Broken()):
        place = store.keep_login(KEY, LOGIN)
        assert place.kind == "file"
        assert place.problem == "The system's keyring failed (RuntimeError)."
        assert store.login(KEY) == LOGIN
        with pytest.raises(StoreUnusable, match=r"^The system's keyring failed \(KeyringLocked\)\.$"):
            store.login("login of another")


def test_what_the_keyring_does_not_take_lies_in_the_file(store: Store, memory: Memory):
    memory.largest = 2_560
    assert store.keep_secret("MAGE_MCP_SECRET_LONG", "planted" * 1_000).kind == "file"
    assert store.secret("MAGE_MCP_SECRET_LONG") == "planted" * 1_000
    assert store.secrets() == ({"MAGE_MCP_SECRET_LONG": "file"}, "")


def test_a_keyring_that_cannot_be_loaded_is_one_that_fails(store: Store, monkeypatch: pytest.MonkeyPatch, file: Path):
    import keyring.core

    monkeypatch.setattr(keyring.core, "_keyring_backend", None)
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "no.such.Backend")
    assert store.keep_login(KEY, LOGIN).problem == "The system's keyring failed (ModuleNotFoundError)."


def test_a_keyring_that_hangs_holds_nobody_up_for_long_and_is_asked_again_later(file: Path):
    store = Store(limit_s=0.1, file=file)
    Hanging.unlocked.clear()
    with using(Hanging()):
        with pytest.raises(StoreUnusable, match=r"did not answer within 0\.1 s; it may be locked"):
            store.login(KEY)
        began = time.perf_counter()
        for _ in range(5):
            with pytest.raises(StoreUnusable, match="did not answer"):
                store.login(KEY)
        assert time.perf_counter() - began < 0.09, "while a question is open, others fail at once"
        assert sum(thread.name == "keyring" for thread in threading.enumerate()) == 1
        (left,) = [thread for thread in threading.enumerate() if thread.name == "keyring"]
        assert left.daemon, "or the process would not end"
        Hanging.unlocked.set()
        left.join(5)
        assert store.login(KEY) is None


def test_many_threads_ask_one_after_the_other(store: Store, memory: Memory):
    store.keep_login(KEY, LOGIN)
    found: list[KeptLogin | None] = []
    threads = [threading.Thread(target=lambda: found.append(store.login(KEY))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [LOGIN] * 8


# Two places


def test_of_two_places_the_later_one_counts(store: Store, file: Path, memory: Memory):
    store.keep_login(KEY, KeptLogin("older"))
    with using(Broken()):
        store.keep_login(KEY, KeptLogin("newer"))
    with using(memory):
        assert store.login(KEY) == KeptLogin("newer")
        store.keep_login(KEY, KeptLogin("newest"))
        assert store.login(KEY) == KeptLogin("newest")
        assert json.loads(file.read_text()) == {}, "an older one does not stay behind in a file"


def test_both_places_are_emptied(store: Store, memory: Memory):
    store.keep_login(KEY, KeptLogin("older"))
    with using(Broken()):
        store.keep_login(KEY, KeptLogin("newer"))
    with using(memory):
        assert sorted(store.forget_login(KEY)) == ["file", "keyring"]
        assert store.login(KEY) is None


def test_a_renewed_login_stays_where_it_was(store: Store, file: Path, memory: Memory):
    store.keep_login(KEY, LOGIN)
    with using(Broken()):
        with pytest.raises(StoreUnusable):
            store.renew_login(KEY, LOGIN, KeptLogin("fresh"))
        assert not file.exists(), "a password in a keyring moves into no file by itself"
    with using(memory):
        store.renew_login(KEY, LOGIN, KeptLogin("fresh"))
        assert store.login(KEY) == KeptLogin("fresh")


def test_a_login_that_was_replaced_or_forgotten_meanwhile_is_not_renewed(store: Store, memory: Memory):
    store.keep_login(KEY, KeptLogin("of the person"))
    store.renew_login(KEY, LOGIN, KeptLogin("of the server"))
    assert store.login(KEY) == KeptLogin("of the person")
    store.forget_login(KEY)
    store.renew_login(KEY, KeptLogin("of the person"), KeptLogin("of the server"))
    assert store.login(KEY) is None


# Whose


@pytest.mark.parametrize(
    "other",
    [
        {"name": "staging"},
        {"url": "https://elsewhere.test/base"},
        {"url": "https://mage.test/other"},
        {"url": "http://mage.test/base"},
        {"url": "https://mage.test:8443/base"},
    ],
)
def test_another_name_or_url_gets_no_login_of_this_cluster(other: dict[str, str]):
    cluster = Cluster(name="prod", url="https://mage.test/base", token=SecretStr("x"))
    assert cluster_key(cluster) == cluster_key(cluster.model_copy(update={"token": None, "read_only": True}))
    assert cluster_key(cluster) != cluster_key(cluster.model_copy(update=other))


def test_clusters_of_one_cloud_share_its_login_and_no_other_cloud_gets_it():
    one, two = Cluster(name="a", team_id="t"), Cluster(name="b", team_id="u")
    assert cloud_key(one) == cloud_key(two)
    assert cloud_key(one) != cloud_key(one.model_copy(update={"cloud_url": "https://cloud.test/api/v1"}))
    assert cloud_key(one) != cluster_key(one)


# Secrets


def test_secrets_are_listed_by_name_with_their_places(store: Store, memory: Memory):
    store.keep_login(KEY, LOGIN)
    store.keep_secret("MAGE_MCP_SECRET_B", "planted-b")
    with using(Broken()):
        store.keep_secret("MAGE_MCP_SECRET_A", "planted-a")
        names, problem = store.secrets()
        assert names == {"MAGE_MCP_SECRET_A": "file"}
        assert "KeyringLocked" in problem
    with using(memory):
        assert store.secrets() == ({"MAGE_MCP_SECRET_A": "file", "MAGE_MCP_SECRET_B": "keyring"}, "")
        assert store.secret("MAGE_MCP_SECRET_B") == "planted-b"
        assert store.forget_secret("MAGE_MCP_SECRET_B") == ["keyring"]
        assert store.secret("MAGE_MCP_SECRET_B") is None


@pytest.mark.parametrize("index", ["no json", '{"a": 1}', "[1, null]"])
def test_an_index_that_cannot_be_read_loses_no_entry(store: Store, memory: Memory, index: str):
    store.keep_secret("MAGE_MCP_SECRET_A", "planted-a")
    memory.entries["index"] = index
    assert store.secrets() == ({}, "")
    assert store.secret("MAGE_MCP_SECRET_A") == "planted-a"
    store.keep_secret("MAGE_MCP_SECRET_A", "planted-a")
    assert store.secrets() == ({"MAGE_MCP_SECRET_A": "keyring"}, "")


def test_writers_at_the_same_time_lose_nothing(file: Path, no_keyring: None):
    names = [f"MAGE_MCP_SECRET_{number}" for number in range(12)]
    threads = [threading.Thread(target=Store(file=file).keep_secret, args=(name, f"v-{name}")) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(Store(file=file).secrets()[0]) == set(names)


def test_a_lock_that_a_killed_process_left_is_taken_over(store: Store, file: Path, no_keyring: None):
    file.parent.mkdir()
    lock = file.with_suffix(".lock")
    lock.touch()
    os.utime(lock, (time.time() - 60,) * 2)
    store.keep_login(KEY, LOGIN)
    assert store.login(KEY) == LOGIN
    assert not lock.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="the session's bus is Linux's")
def test_the_session_bus_is_found_where_a_host_does_not_tell_it(
    store: Store, memory: Memory, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv(BUS, "told")
    store.login(KEY)
    assert os.environ[BUS] == "told"
    monkeypatch.delenv(BUS)
    store.login(KEY)
    assert BUS not in os.environ  # nothing is there
    with socket.socket(socket.AF_UNIX) as bus:
        bus.bind(str(tmp_path / "bus"))
        store.login(KEY)
    assert os.environ[BUS] == f"unix:path={tmp_path / 'bus'}"


@pytest.mark.parametrize("time", ["1" + "0" * 400, "NaN", "-Infinity", "true", '"soon"'])
def test_a_time_that_is_none_counts_as_not_kept(store: Store, memory: Memory, time: str):
    memory.entries[KEY] = f'{{"token": "token-of-x", "expires": {time}, "kept_at": {time}}}'
    assert store.login(KEY) == KeptLogin(token="token-of-x")

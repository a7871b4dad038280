"""`mage-mcp doctor`: what it finds, what it says to do, and that it neither changes nor tells anything it should not.

What can be a real server on loopback is one. Every text that comes out is looked through for secrets, in `Seen`.
"""

import base64
import io
import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import httpx
import keyring.backends.fail
import pytest
from pydantic import SecretStr

import mage_mcp
from mage_mcp import __version__
from mage_mcp.cli import main
from mage_mcp.client.clusters.notes import Notes, NotesFile
from mage_mcp.commands._demo import demo_clusters
from mage_mcp.credentials import KeptLogin, Store, cluster_key
from mage_mcp.demo.cloud import MAGE_LOGIN, CloudWorld, Switches
from mage_mcp.demo.cloud_app import create_cloud_app
from mage_mcp.demo.planted import PLANTED
from mage_mcp.demo.world import World
from mage_mcp.doctor import Report, examine
from mage_mcp.settings import Cluster, Settings
from mage_mcp.settings_load import load_settings
from tests import registers
from tests.keyrings import Broken, Memory, using
from tests.lab.mage import EMAIL, PASSWORD, RealMage
from tests.locally import mute, page, self_signed, served
from tests.served import MODULE, serving
from tests.wires import Wire, says

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

OURS = ("planted-password", "planted-token", "planted-key-9Kd2", "planted-header-4Ts8")
SECRETS = {*PLANTED.values(), *OURS}
CHAIN = ["dns", "port", "tls", "mage", "login", "version", "pipelines", "scheduler"]


@pytest.fixture(autouse=True)
def _nothing_of_who_runs_the_tests(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    registers.empty(monkeypatch)
    monkeypatch.setattr("mage_mcp.settings_load.default_config_file", lambda: tmp_path / "config.toml")
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    with using(keyring.backends.fail.Keyring()):
        yield
    root.handlers[:], root.level = handlers, level


class Seen:
    """A report as both of its readers get it."""

    def __init__(self, report: Report) -> None:
        self.json, self.text, self.ok = report.as_json(), report.as_text(), report.ok
        everything = json.dumps(self.json, ensure_ascii=False) + self.text
        assert not [secret for secret in SECRETS if secret in everything]
        assert self.text.isascii() or "•••" in self.text

    def check(self, name: str, group: str = "") -> dict[str, str]:
        """The one check of that name, in the group whose title ends so."""
        (found,) = [c for c in self.json["checks"] if c["check"] == name and c["group"].endswith(group)]
        return found

    def states(self, group: str) -> dict[str, str]:
        return {c["check"]: c["state"] for c in self.json["checks"] if c["group"] == group}

    def of_cluster(self) -> dict[str, str]:
        """States of the first cluster's own API."""
        first = next(c["group"] for c in self.json["checks"] if c["check"] in {"dns", "mage"})
        return self.states(first)

    def settings(self) -> dict[str, tuple[str, str]]:
        return {value["name"]: (value["value"], value["source"]) for value in self.json["settings"]}


async def look(environ: dict[str, str] | None = None, *, store: Store | None = None, **flags: Any) -> Seen:
    return Seen(await examine(load_settings(flags, environ or {}), store=store))


async def look_at(cloud: CloudWorld, **more: Any) -> Seen:
    """The clusters of the simulated Cloud, in process; `more` is for prod."""
    prod, staging = demo_clusters("http://mage.test")
    settings = Settings(clusters=(prod.model_copy(update=more), staging))
    return Seen(await examine(settings, wire=httpx.ASGITransport(create_cloud_app(cloud))))


def jwt(raw: str, ends: datetime) -> str:
    claims = json.dumps({"expires": ends.timestamp(), "token": raw}).encode()
    return f"e30.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.c2lnbmVk"


def logins(cloud: CloudWorld) -> int:
    """To the clusters' own APIs."""
    return sum(sent == ("POST", "/api/sessions") for sent in cloud.requests)


def kept(url: str, folder: Path, **login: Any) -> Store:
    """A store with a login to that Mage."""
    store = Store(limit_s=2, file=folder / "credentials.json")
    store.keep_login(cluster_key(Cluster(url=url)), KeptLogin(**login))
    return store


@pytest.fixture
def with_login(cloud: CloudWorld) -> Iterator[str]:
    """A served Mage that asks for a login."""
    cloud.ask_for_login()
    with served(create_cloud_app(cloud)) as url:
        yield url


async def test_a_mage_that_works_is_fine_from_its_name_to_its_scheduler(cloud: CloudWorld):
    with served(create_cloud_app(cloud)) as url:
        seen = await look({"MAGE_URL": url, "MAGE_PASSWORD": "planted-password", "MAGE_EMAIL": "bob@example.com"})
    assert seen.ok
    assert seen.of_cluster() == dict.fromkeys(CHAIN, "ok")
    assert seen.check("login")["says"] == "None needed; MAGE_PASSWORD is not used."
    assert seen.check("version")["says"] == "Mage 0.9.80."
    assert seen.check("pipelines")["says"] == "Listed: 52."
    assert seen.settings() == {
        "url": (url, "MAGE_URL"),
        "email": ("bob@example.com", "MAGE_EMAIL"),
        "password": ("set", "MAGE_PASSWORD"),
    }
    assert {method for method, _ in cloud.requests} == {"GET"}


async def test_the_simulated_cloud_is_fine_with_both_of_its_clusters(cloud: CloudWorld):
    seen = await look_at(cloud)
    assert seen.ok
    for name in ("prod", "staging"):
        assert set(seen.states(f"Cluster '{name}'").values()) == {"ok"}
        assert seen.states(f"Mage Cloud of cluster '{name}'") == dict.fromkeys(
            ["settings", "login", "cluster", "role", "restart", "same cluster"], "ok"
        )
    assert "admin" in seen.check("role", "'prod'")["says"]
    assert cloud.puts == []
    assert len(cloud.sessions) == 1


@pytest.mark.parametrize(
    ("url", "failed", "says", "do"),
    [
        ("http://127.0.0.1:1", "port", "Nothing listens on 127.0.0.1:1.", "MAGE_URL"),
        ("http://no-such-host.invalid", "dns", "no-such-host.invalid", ""),
    ],
)
async def test_what_cannot_be_reached_is_told_once_and_nothing_behind_it_is_tried(
    url: str, failed: str, says: str, do: str
):
    seen = await look({"MAGE_URL": url})
    assert not seen.ok
    found = seen.check(failed)
    assert found["state"] == "failed"
    assert says in found["says"]
    assert do in found["do"]
    behind = CHAIN[CHAIN.index(failed) + 1 :]
    assert {name: state for name, state in seen.of_cluster().items() if name in behind} == dict.fromkeys(
        behind, "not tried"
    )
    assert seen.check("pipelines")["says"] == f"Not tried, since {failed} failed."


@pytest.mark.parametrize(
    ("app", "says"),
    [
        (page(200), "a web page"),
        (page(404), "a web page"),
        (page(200, '{"hello": 1}'), "no 'statuses'"),
        (page(301, location="https://elsewhere.test/"), "a redirect"),
        (page(200, ""), "with nothing"),
    ],
    ids=["page", "missing page", "other JSON", "redirect", "nothing"],
)
async def test_something_that_is_no_mage_is_called_so(app: Any, says: str):
    with served(app) as url:
        seen = await look({"MAGE_URL": url})
    assert says in seen.check("mage")["says"]
    assert seen.check("mage")["do"] == "Check host, port, http or https, and base path of MAGE_URL."
    assert seen.of_cluster()["scheduler"] == "not tried"


async def test_a_base_path_that_is_wrong_is_put_right(cloud: CloudWorld):
    with served(create_cloud_app(cloud)) as url:
        seen = await look({"MAGE_URL": f"{url}/prod/other"})
        assert seen.check("mage")["do"] == f"A Mage answers at {url}/prod: put that into MAGE_URL."
        assert (await look({"MAGE_URL": f"{url}/prod"})).ok


async def test_a_gateway_without_a_mage_behind_it_is_a_mage_that_is_down():
    with served(page(503)) as url:
        seen = await look({"MAGE_URL": url})
    assert "HTTP 503" in seen.check("mage")["says"]
    assert seen.check("mage")["do"] == "Check that Mage is running, and that MAGE_URL is right."


async def test_a_scheduler_that_stands_is_a_failure(cloud: CloudWorld):
    cloud.clusters["prod"].world.poison["run", 1] = "'x' is not among the defined enum values."
    seen = await look_at(cloud)
    assert not seen.ok
    assert "no run makes progress" in seen.check("scheduler", "Cluster 'prod'")["says"]
    assert "restart_cluster" in seen.check("scheduler", "Cluster 'prod'")["do"]
    assert seen.check("login", "Cluster 'prod'")["state"] == "ok"
    assert seen.check("scheduler", "Cluster 'staging'")["state"] == "ok"


async def test_an_answer_of_an_unknown_shape_is_a_failure_and_no_crash(world: World):
    wire = Wire(world)
    wire.spoil("GET", "/api/pipelines", says({"pipelines": [{"uuid": ["planted-token"], "schedules": 5}]}), times=9)
    seen = Seen(await examine(Settings(clusters=(Cluster(url="http://mage.test"),)), wire=wire))
    assert "cannot be read" in seen.check("pipelines")["says"]
    assert seen.check("scheduler")["state"] == "ok"


async def test_a_cluster_of_which_only_the_cloud_is_configured_lacks_its_url(cloud: CloudWorld):
    seen = await look_at(cloud, url="")
    assert seen.ok
    assert seen.check("url")["state"] == "warning"
    assert seen.check("url")["do"] == "Set `url` of [clusters.prod]."
    assert seen.check("cluster", "'prod'")["state"] == "ok"


async def test_a_login_that_is_needed_and_missing(with_login: str):
    seen = await look({"MAGE_URL": with_login})
    assert seen.check("login")["state"] == "failed"
    assert "mage-mcp login" in seen.check("login")["do"]
    assert "MAGE_EMAIL and MAGE_PASSWORD" in seen.check("login")["do"]
    assert seen.of_cluster() | {"mage": "ok", "scheduler": "ok", "pipelines": "not tried"} == seen.of_cluster()


async def test_a_wrong_password_gets_one_try(cloud: CloudWorld, with_login: str):
    seen = await look({"MAGE_URL": with_login, "MAGE_EMAIL": MAGE_LOGIN[0], "MAGE_PASSWORD": "planted-password"})
    assert "refused the email or the password" in seen.check("login")["says"]
    assert "MAGE_EMAIL and MAGE_PASSWORD" in seen.check("login")["do"]
    assert seen.of_cluster()["version"] == seen.of_cluster()["pipelines"] == "not tried"
    assert logins(cloud) == 1


async def test_the_right_password_gets_one_login_in_read_only_mode_too(cloud: CloudWorld, with_login: str):
    given = {"MAGE_URL": with_login, "MAGE_EMAIL": MAGE_LOGIN[0], "MAGE_PASSWORD": MAGE_LOGIN[1]}
    seen = await look({**given, "MAGE_READ_ONLY": "true"})
    assert seen.ok
    assert seen.check("login")["says"] == "By MAGE_EMAIL and MAGE_PASSWORD."
    assert seen.settings()["read_only"] == ("true", "MAGE_READ_ONLY")
    assert logins(cloud) == 1
    assert {method for method, path in cloud.requests if path != "/api/sessions"} == {"GET"}


async def test_a_token_tells_how_long_it_is_good(cloud: CloudWorld, with_login: str):
    world = cloud.clusters["prod"].world
    world.sessions["good-raw-token"] = world.now + timedelta(days=90)
    for days, state in ((60, "ok"), (1, "warning")):
        ends = datetime.now(UTC) + timedelta(days=days)
        seen = await look({"MAGE_URL": with_login, "MAGE_TOKEN": jwt("good-raw-token", ends)})
        assert seen.ok
        assert seen.check("login")["state"] == state
        assert f"good until {ends:%Y-%m-%d %H:%M} UTC" in seen.check("login")["says"]
    seen = await look({"MAGE_URL": with_login, "MAGE_TOKEN": "good-raw-token"})
    assert seen.check("login")["says"] == "By MAGE_TOKEN."


async def test_a_token_that_has_ended_is_told_with_when(cloud: CloudWorld, with_login: str):
    world = cloud.clusters["prod"].world
    ended = datetime.now(UTC) - timedelta(days=2)
    world.sessions["ended-raw-token"] = world.now - timedelta(days=2)
    token = {"MAGE_URL": with_login, "MAGE_TOKEN": jwt("ended-raw-token", ended)}
    seen = await look(token)
    assert "expired or revoked" in seen.check("login")["says"]
    assert f"It says that it ended at {ended:%Y-%m-%d %H:%M} UTC." in seen.check("login")["says"]
    assert "a fresh MAGE_TOKEN" in seen.check("login")["do"]
    helped = await look({**token, "MAGE_EMAIL": MAGE_LOGIN[0], "MAGE_PASSWORD": MAGE_LOGIN[1]})
    assert helped.ok
    assert helped.check("login")["state"] == "warning"


@pytest.mark.parametrize("place", ["the system's keyring (test)", "credentials.json"])
async def test_a_login_that_is_kept_is_used_and_told_with_where_it_lies(
    cloud: CloudWorld, with_login: str, tmp_path: Path, place: str
):
    world = cloud.clusters["prod"].world
    world.sessions["kept-raw-token"] = world.now + timedelta(days=90)
    ends = datetime.now(UTC) + timedelta(days=40)
    with using(Memory() if "keyring" in place else keyring.backends.fail.Keyring()):
        store = kept(with_login, tmp_path, token=jwt("kept-raw-token", ends), email="bob@example.com")
        seen = await look({"MAGE_URL": with_login}, store=store)
    assert seen.ok
    assert seen.check("login")["says"].startswith("By the login that is kept, which says that it is good until")
    value, source = seen.settings()["login"]
    assert value == f"set, until {ends:%Y-%m-%d}"
    assert place in source
    assert "kept-raw-token" not in seen.text


async def test_secrets_for_set_from_are_told_by_name_and_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MAGE_MCP_SECRET_SHELL", "planted-password")
    store = Store(limit_s=2, file=tmp_path / "credentials.json")
    store.keep_secret("MAGE_MCP_SECRET_FILE", "planted-token")
    with using(Memory()):
        store.keep_secret("MAGE_MCP_SECRET_RING", "planted-key-9Kd2")
        seen = await look(store=store)
    assert seen.settings() == {
        "MAGE_MCP_SECRET_FILE": ("set", "the file"),
        "MAGE_MCP_SECRET_RING": ("set", "the keyring"),
        "MAGE_MCP_SECRET_SHELL": ("set", "this shell's environment, which no client has"),
    }


async def test_a_kept_token_that_has_ended_asks_for_a_new_login(with_login: str, tmp_path: Path):
    ended = (datetime.now(UTC) - timedelta(days=1)).timestamp()
    store = kept(with_login, tmp_path, token="planted-token", expires=ended)
    seen = await look({"MAGE_URL": with_login}, store=store)
    assert seen.check("login")["state"] == "failed"
    assert f"mage-mcp login --url {with_login}" in seen.check("login")["do"]


async def test_a_kept_login_helps_where_the_configured_token_has_ended(
    cloud: CloudWorld, with_login: str, tmp_path: Path
):
    world, now = cloud.clusters["prod"].world, datetime.now(UTC)
    world.sessions |= {
        "ended-raw-token": world.now - timedelta(days=2),
        "kept-raw-token": world.now + timedelta(days=9),
    }
    store = kept(with_login, tmp_path, token="kept-raw-token")
    ended = jwt("ended-raw-token", now - timedelta(days=2))
    seen = await look({"MAGE_URL": with_login, "MAGE_TOKEN": ended}, store=store)
    assert seen.ok
    assert seen.check("login")["says"].startswith("By the login that is kept: MAGE_TOKEN ended on")
    assert seen.check("login")["do"] == "Take MAGE_TOKEN away."


async def test_a_token_that_is_refused_is_not_said_to_be_used(cloud: CloudWorld, with_login: str, tmp_path: Path):
    world = cloud.clusters["prod"].world
    world.sessions["kept-raw-token"] = world.now + timedelta(days=9)
    store = kept(with_login, tmp_path, token="kept-raw-token")
    seen = await look({"MAGE_URL": with_login, "MAGE_TOKEN": "planted-token"}, store=store)
    assert seen.check("login") | {"state": "warning", "do": "Take MAGE_TOKEN away."} == seen.check("login")
    assert seen.check("login")["says"] == "By the login that is kept: MAGE_TOKEN was refused."


async def test_a_password_without_an_email_is_pointed_at(with_login: str):
    seen = await look({"MAGE_URL": with_login, "MAGE_PASSWORD": OURS[0], "MAGE_CLOUD_PASSWORD": OURS[0]})
    assert seen.check("password")["says"] == "MAGE_PASSWORD is set without MAGE_EMAIL, and is not used."
    assert seen.check("cloud_password")["do"] == "Set MAGE_CLOUD_EMAIL too."


async def test_a_keyring_that_is_broken_is_a_warning(with_login: str, tmp_path: Path):
    with using(Broken()):
        seen = await look({"MAGE_URL": with_login}, store=Store(limit_s=1, file=tmp_path / "none.json"))
    assert seen.check("kept")["state"] == "warning"
    assert "planted-in-an-error" not in seen.text + json.dumps(seen.json)


async def test_a_wrong_api_key(cloud: CloudWorld, with_login: str):
    seen = await look({"MAGE_URL": with_login, "MAGE_TOKEN": "planted-token", "MAGE_API_KEY": "planted-key-9Kd2"})
    assert seen.check("login")["do"] == "Correct MAGE_API_KEY, or leave it unset."


async def test_a_certificate_that_vouches_for_itself_is_trusted_where_it_is_named(cloud: CloudWorld, tmp_path: Path):
    certificate = self_signed(tmp_path)
    with served(create_cloud_app(cloud), certificate=certificate) as url:
        seen = await look({"MAGE_URL": url})
        assert "self-signed" in seen.check("tls")["says"]
        assert seen.check("tls")["do"].endswith("in MAGE_CA_BUNDLE.")
        assert seen.of_cluster()["mage"] == "not tried"
        trusted = await look({"MAGE_URL": url, "MAGE_CA_BUNDLE": str(certificate)})
    assert trusted.ok
    assert trusted.check("tls")["says"].startswith("Certificate for 127.0.0.1 by Tests, trusted by MAGE_CA_BUNDLE,")


@pytest.mark.parametrize(
    ("made", "state", "says"),
    [
        ({"days": 5}, "warning", "That is soon."),
        ({"days": -5}, "failed", "has expired"),
        ({"name": "mage.test"}, "failed", "is for another name"),
    ],
    ids=["ends soon", "has ended", "of another name"],
)
async def test_what_is_wrong_with_a_certificate(
    cloud: CloudWorld, tmp_path: Path, made: dict[str, Any], state: str, says: str
):
    certificate = self_signed(tmp_path, **made)
    with served(create_cloud_app(cloud), certificate=certificate) as url:
        seen = await look({"MAGE_URL": url, "MAGE_CA_BUNDLE": str(certificate)})
    assert seen.check("tls")["state"] == state
    assert says in seen.check("tls")["says"]
    assert seen.check("tls")["do"]


async def test_a_ca_bundle_that_is_none_and_a_port_that_speaks_no_tls(cloud: CloudWorld, tmp_path: Path):
    with served(create_cloud_app(cloud)) as url:
        https = url.replace("http:", "https:")
        missing = await look({"MAGE_URL": https, "MAGE_CA_BUNDLE": str(tmp_path / "missing.pem")})
        plain = await look({"MAGE_URL": https})
    assert "MAGE_CA_BUNDLE cannot be used" in missing.check("tls")["says"]
    assert "does not speak TLS" in plain.check("tls")["says"]
    assert "http://" in plain.check("tls")["do"]


async def test_plain_http_to_another_machine_is_a_warning_and_no_more(
    monkeypatch: pytest.MonkeyPatch, cloud: CloudWorld
):
    """Another machine is what a test cannot have: only its name is made up here."""
    with served(create_cloud_app(cloud)) as url:
        monkeypatch.setattr("socket.getaddrinfo", lambda *args, **more: [(2, 1, 6, "", ("127.0.0.1", args[1]))])
        seen = await look({"MAGE_URL": url.replace("127.0.0.1", "mage.test")})
    assert seen.check("tls")["state"] == "warning"
    assert "https://" in seen.check("tls")["do"]
    assert seen.check("dns")["says"] == "mage.test is 127.0.0.1."


async def test_a_proxy_is_asked_instead(monkeypatch: pytest.MonkeyPatch, cloud: CloudWorld):
    with served(create_cloud_app(cloud)) as proxy:
        monkeypatch.setenv("http_proxy", proxy.replace("//", "//bob:planted-password@"))
        monkeypatch.setenv("no_proxy", "")
        seen = await look({"MAGE_URL": "http://mage.test"})
    assert "through a proxy (HTTP_PROXY)" in seen.check("dns")["says"]
    assert seen.of_cluster()["port"] == "ok"


@pytest.mark.parametrize(("scheme", "waits"), [("http", "mage"), ("https", "tls")])
async def test_a_server_that_never_answers_takes_a_bounded_time(scheme: str, waits: str):
    """Its API and its Cloud are waited for at the same time."""
    began = time.monotonic()
    with mute() as muted:
        url = muted.replace("http", scheme)
        place = {"MAGE_TEAM_ID": "team-1", "MAGE_CLUSTER_ID": "cl-1", "MAGE_CLOUD_EMAIL": "bob@example.com"}
        seen = await look({"MAGE_URL": url, **place, "MAGE_CLOUD_PASSWORD": OURS[0], "MAGE_CLOUD_URL": f"{url}/api"})
    assert time.monotonic() - began < 12
    own = seen.of_cluster()
    assert own | {"port": "ok", waits: "failed", "login": "not tried"} == own
    if waits == "tls":  # a Mage without TLS is just as silent
        assert "does not answer a TLS handshake" in seen.check("tls", url.partition("//")[2])["says"]
        assert "write http:// in MAGE_URL" in seen.check("tls", url.partition("//")[2])["do"]
    assert seen.check(waits, url.partition("//")[2])["do"]
    assert seen.states("Mage Cloud") | {"port": "ok", "cluster": "not tried"} == seen.states("Mage Cloud")


async def test_a_resolver_that_hangs_takes_a_bounded_time(monkeypatch: pytest.MonkeyPatch):
    released = threading.Event()
    monkeypatch.setattr("socket.getaddrinfo", lambda *args, **more: [] if released.wait(30) else None)
    began = time.monotonic()
    try:
        seen = await look({"MAGE_URL": "http://mage.test"})
    finally:
        released.set()
    assert time.monotonic() - began < 5
    assert seen.check("dns")["says"] == "No answer within 3 s."


async def test_a_cluster_that_is_stopped_is_a_warning_with_how_to_start_it(cloud: CloudWorld):
    prod = cloud.clusters["prod"]
    prod.save({**prod.config, "replicaCount": 0}, "Stopped")
    cloud.clock.advance(60)
    seen = await look_at(cloud)
    assert seen.ok
    assert seen.check("cluster", "'prod'")["state"] == "warning"
    assert "start_cluster" in seen.check("cluster", "'prod'")["do"]
    assert seen.check("mage", "Cluster 'prod'")["state"] == "warning"
    assert seen.check("mage", "Cluster 'prod'")["says"].endswith("Mage Cloud says that it is Stopped.")
    assert seen.check("pipelines", "Cluster 'prod'")["state"] == "not tried"
    assert seen.check("pipelines", "Cluster 'staging'")["state"] == "ok"


async def test_a_cloud_and_a_url_that_speak_of_two_clusters(cloud: CloudWorld):
    staging = cloud.clusters["staging"]
    staging.save({**staging.config, "replicaCount": 0}, "Stopped")
    cloud.clock.advance(60)
    seen = await look_at(cloud, cluster_id="cl-staging")
    assert "two clusters" in seen.check("same cluster", "'prod'")["says"]
    assert "cluster_id" in seen.check("same cluster", "'prod'")["do"]
    assert not seen.ok


async def test_a_cloud_that_names_the_host_of_the_url_speaks_of_the_same_cluster(cloud: CloudWorld):
    config = cloud.clusters["prod"].config
    config["ingress"]["hosts"] = ["MAGE.test"]
    seen = await look_at(cloud)
    assert "names the host of the URL" in seen.check("same cluster", "'prod'")["says"]
    config["ingress"]["hosts"] = ["other-mage.test", "mage.test.example.com"]
    seen = await look_at(cloud)
    assert "nothing speaks against it" in seen.check("same cluster", "'prod'")["says"]


@pytest.mark.parametrize("errors", [{}, {"http_errors": True}, {"text_errors": True}, {"echoes": True}])
async def test_a_login_that_the_cloud_refuses_gets_one_try_for_all_clusters(cloud: CloudWorld, errors: dict[str, bool]):
    cloud.switches = Switches(**errors)
    clusters = [
        each.model_copy(update={"cloud_password": SecretStr(OURS[0])}) for each in demo_clusters("http://mage.test")
    ]
    seen = Seen(await examine(Settings(clusters=tuple(clusters)), wire=httpx.ASGITransport(create_cloud_app(cloud))))
    for name in ("'prod'", "'staging'"):
        assert seen.check("login", f"Cloud of cluster {name}")["state"] == "failed"
        assert "cloud_email and cloud_password" in seen.check("login", f"Cloud of cluster {name}")["do"]
        assert seen.check("cluster", name)["state"] == seen.check("same cluster", name)["state"] == "not tried"
        assert seen.check("pipelines", name)["state"] == "ok"
    assert sum(path == "/cloud/api/v1/sessions" for _, path in cloud.requests) == 1


async def test_what_is_missing_or_wrong_for_the_cloud(cloud: CloudWorld):
    seen = await look_at(cloud, cluster_id="")
    assert seen.check("settings", "Cloud of cluster 'prod'")["says"] == "Missing: cluster_id in [clusters.prod]."
    seen = await look_at(cloud, cluster_id="cl-other")
    assert seen.check("login", "Cloud of cluster 'prod'")["state"] == "ok"
    assert "no such record" in seen.check("cluster", "'prod'")["says"]
    seen = await look_at(cloud, cloud_email="", cloud_password=None)
    assert "cloud_email and cloud_password" in seen.check("login", "Cloud of cluster 'prod'")["do"]


async def test_a_role_that_is_not_enough_is_a_warning_and_one_that_is_not_told_is_none(cloud: CloudWorld):
    viewer = {"cloud_email": "viewer@demo.invalid", "cloud_password": SecretStr(PLANTED["cloud password, viewer"])}
    seen = await look_at(cloud, **viewer)
    assert seen.check("role", "'prod'")["state"] == "warning"
    assert seen.check("role", "'prod'")["says"].startswith("viewer: only reads")
    assert (await look_at(cloud, **viewer, read_only=True)).check("role", "'prod'")["state"] == "ok"
    cloud.switches = Switches(lists=False)
    assert "does not tell it" in (await look_at(cloud)).check("role", "'prod'")["says"]


async def test_a_restart_that_was_left_half_done_is_a_failure(cloud: CloudWorld):
    prod, _ = demo_clusters("http://mage.test")
    notes = NotesFile((prod.cloud_url, prod.team_id, prod.cluster_id))
    notes.write(Notes(replicas=2, restart_began="2026-01-01T00:00:00Z"))
    stopped = cloud.clusters["prod"]
    stopped.save({**stopped.config, "replicaCount": 0}, "Stopped")
    cloud.clock.advance(60)
    seen = await look_at(cloud)
    assert "left half done" in seen.check("restart", "'prod'")["says"]
    assert seen.check("restart", "'prod'")["state"] == "failed"
    assert notes.read().restart_began, "the doctor only reads"


async def test_nothing_configured_is_told_with_the_first_step():
    seen = await look()
    assert not seen.ok
    found = seen.check("configured")
    assert found["says"] == "No Mage server is configured."
    for step in ("MAGE_URL", "mage-mcp login", "mage-mcp demo"):
        assert step in found["do"]
    assert seen.json["settings"] == []


async def test_the_settings_of_a_file_are_told_with_their_sources(tmp_path: Path):
    file = tmp_path / "config.toml"
    file.write_text(
        '[clusters.prod]\nurl = "http://127.0.0.1:1"\npassword_env = "PROD_PASSWORD"\ntoken_env = "planted-token"\n'
        'protected = true\nheaders = {"X-Proxy" = "planted-header-4Ts8"}\n[clusters.empty]\nprotected = true\n',
        encoding="utf-8",
    )
    seen = await look({"PROD_PASSWORD": "planted-password", "MAGE_CONFIRM": "person"}, toolsets="all")
    where = f"[clusters.prod] in {file}"
    assert seen.settings() == {
        "toolsets": ("all", "--toolsets"),
        "confirm": ("person", "MAGE_CONFIRM"),
        "prod.url": ("http://127.0.0.1:1", where),
        "prod.password": ("set", f"PROD_PASSWORD, which {where} names"),
        "prod.protected": ("true", where),
        "prod.headers.X-Proxy": ("set", where),
        "empty.protected": ("true", f"[clusters.empty] in {file}"),
    }
    assert f"token_env of {where} names a variable that is not set" in seen.check("prod.token")["says"]
    assert seen.check("configured")["do"] == "Set `url` of [clusters.empty]."


async def test_this_installation_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = tmp_path / "audit.jsonl"
    seen = await look({"MAGE_AUDIT": str(file)})
    assert seen.states("This installation") | dict.fromkeys(
        ["state folder", "audit", "prompts", "tools", "versions"], "ok"
    ) == seen.states("This installation")
    assert "tokens of 6,000" in seen.check("tools")["says"]
    for package in ("mage-mcp", "Python", "mcp", "httpx", "pydantic"):
        assert package in seen.check("versions")["says"]
    assert not file.exists(), "the doctor only reads"
    monkeypatch.setenv("MAGE_MCP_STATE_DIR", str(Path(__file__) / "below-a-file"))
    seen = await look({"MAGE_AUDIT": str(tmp_path / "missing" / "audit.jsonl")})
    assert "MAGE_MCP_STATE_DIR" in seen.check("state folder")["do"]
    assert "does not exist" in seen.check("audit")["says"]
    assert "MAGE_AUDIT" in seen.check("audit")["do"]


async def test_the_command_is_found_where_this_one_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    missed = (await look()).check("command")
    assert "not on PATH" in missed["says"]
    start = missed["do"].partition("`")[2].partition(" client NAME`")[0].split()
    told = (await anyio.run_process([*start, "--version"])).stdout.decode()
    assert told.split() == ["mage-mcp", __version__], "what it says to type is what starts this one"
    other = tmp_path / "mage-mcp"
    other.write_text("#!/bin/sh\n", encoding="utf-8")
    other.chmod(0o755)
    assert "of another environment" in (await look()).check("command")["says"]
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    assert (await look()).check("command")["state"] == "ok"


async def test_what_to_compile_is_both_the_packages_and_a_checkout(tmp_path: Path):
    python = [sys.executable, "-B", "-X", f"pycache_prefix={tmp_path}"]
    done = await anyio.run_process([*python, "-m", "mage_mcp", "doctor", "--demo", "--json"])
    (told,) = [check for check in json.loads(done.stdout)["checks"] if check["check"] == "bytecode"]
    assert told["state"] == "warning"
    folders = {Path(word) for word in told["do"].rpartition("compileall -q ")[2].removesuffix("`.").split()}
    for module in (mage_mcp, httpx):
        assert folders & set(Path(module.__file__).parents), module


async def test_prompts_that_are_gone_are_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("mage_mcp.prompts.folder", lambda: tmp_path)
    assert (await look()).check("prompts")["state"] == "failed"
    (tmp_path / "broken.md").write_text("no head", encoding="utf-8")
    assert "cannot be read" in (await look()).check("prompts")["says"]


async def test_the_json_keeps_its_keys(cloud: CloudWorld):
    told = (await look_at(cloud)).json
    assert list(told) == ["schema", "version", "ok", "counts", "settings", "checks"]
    assert told["schema"] == 1
    assert list(told["counts"]) == ["ok", "warning", "failed", "not tried"]
    assert sum(told["counts"].values()) == len(told["checks"])
    assert all(set(check) - {"do"} == {"group", "check", "state", "says"} for check in told["checks"])


def command(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(["doctor", *arguments])
    return code, *capsys.readouterr()


def test_the_demo_is_fine_and_the_exit_code_says_so(capsys: pytest.CaptureFixture[str]):
    code, out, err = command(capsys, "--demo")
    assert (code, err) == (0, "")
    assert "[ok]   mage" in out
    code, out, _ = command(capsys, "--demo", "--json")
    assert code == 0
    assert json.loads(out)["ok"]


def test_what_failed_is_one_and_wrong_usage_is_two(capsys: pytest.CaptureFixture[str]):
    code, out, _ = command(capsys, "--url", "http://127.0.0.1:1")
    assert code == 1
    assert "[FAIL] port" in out
    assert "[--]   mage" in out
    code, out, err = command(capsys, "--url", "ftp://127.0.0.1")
    assert (code, out) == (2, "")
    assert "not a URL of a Mage server" in err
    with pytest.raises(SystemExit) as ended:
        command(capsys, "--no-such-option")
    assert ended.value.code == 2


@pytest.mark.parametrize("encoding", ["ascii", "cp437", "cp1252"])
def test_any_console_can_show_it(monkeypatch: pytest.MonkeyPatch, encoding: str):
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written, encoding=encoding))
    monkeypatch.setenv("MAGE_EMAIL", "bøb•@example.com")
    assert main(["doctor", "--url", "http://127.0.0.1:1"]) == 1
    sys.stdout.flush()
    assert "@example.com" in written.getvalue().decode(encoding)


def test_as_a_person_runs_it_against_a_served_cloud(tmp_path: Path):
    def run(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        env = {
            "PATH": "/usr/bin",
            "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
            **cloud.environment,
            **environment,
        }
        return subprocess.run(
            [*MODULE, "doctor", *arguments], env=env, capture_output=True, text=True, check=False, timeout=30
        )

    with serving(tmp_path) as cloud:
        well = run()
        assert (well.returncode, well.stderr) == (0, "")
        assert "Mage Cloud of cluster 'staging'" in well.stdout
        cloud.post("switch", mage_login=True)
        refused = run("--json")
        assert refused.returncode == 1
        states = {(c["group"], c["check"]): c["state"] for c in json.loads(refused.stdout)["checks"]}
        assert states["Cluster 'prod'", "login"] == states["Cluster 'staging'", "login"] == "failed"
        assert states["Mage Cloud of cluster 'prod'", "login"] == "ok"
        assert cloud.puts() == []
        secrets = json.loads(httpx.get(f"{cloud.url}/_demo/state").text)["secrets"]
        assert not [name for name, value in secrets.items() if value in well.stdout + refused.stdout]


@pytest.mark.real
async def test_the_real_mage_is_fine(real_mage: RealMage):
    seen = await look({"MAGE_URL": real_mage.url})
    assert seen.ok
    assert seen.of_cluster() == dict.fromkeys(CHAIN, "ok")
    assert seen.check("version")["says"] == "Mage 0.9.80."


@pytest.mark.real
async def test_the_real_mage_with_a_login(real_mage_with_login: RealMage):
    url = {"MAGE_URL": real_mage_with_login.url}
    none = await look(url)
    assert "needs a login" in none.check("login")["says"]
    assert none.of_cluster()["scheduler"] == "ok"
    wrong = await look({**url, "MAGE_EMAIL": EMAIL, "MAGE_PASSWORD": "planted-password"})
    assert "refused the email or the password" in wrong.check("login")["says"]
    ended = await look({**url, "MAGE_TOKEN": jwt("planted-token", datetime.now(UTC) - timedelta(days=1))})
    assert "does not accept the token" in ended.check("login")["says"]
    right = await look({**url, "MAGE_EMAIL": EMAIL, "MAGE_PASSWORD": PASSWORD})
    assert right.ok
    assert right.of_cluster() == dict.fromkeys(CHAIN, "ok")

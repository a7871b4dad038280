"""Wrong calls and broken servers, through an MCP client: each ends in a sentence, and the next call works."""

import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx
import pytest
from mcp import Client

from mage_mcp import text
from mage_mcp.client import Cluster, Mage, transport
from mage_mcp.demo.pro import Pro
from mage_mcp.demo.world import World
from mage_mcp.errors import MageInvalid
from mage_mcp.server import build_server
from mage_mcp.settings import Settings
from mage_mcp.settings_load import load_settings
from mage_mcp.tools import ALL
from tests.conftest import clock_of
from tests.host import Host, Person
from tests.wires import Answer as Reply
from tests.wires import Script, Wire, breaks, says

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

SECRETS = {
    "MAGE_PASSWORD": "planted-password",
    "MAGE_TOKEN": "planted-token",
    "MAGE_API_KEY": "planted-key",
}
ENVIRONMENT = {"MAGE_URL": "http://mage.test", "MAGE_EMAIL": "planted@example.com", **SECRETS}


@pytest.fixture(autouse=True)
def _nothing_planted_shows(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Any
) -> Iterator[None]:
    """Whatever a test does, no secret is in what the process wrote."""
    monkeypatch.setattr("mage_mcp.settings_load.default_config_file", lambda: tmp_path / "config.toml")
    monkeypatch.setattr(text, "_known", set())
    monkeypatch.setattr(text, "_known_pattern", None)
    yield
    written = capsys.readouterr()
    assert written.out == ""
    assert "planted" not in written.err


@asynccontextmanager
async def host_over(
    wire: httpx.AsyncBaseTransport, mode: str, *, world: World | None = None, **more: str
) -> AsyncIterator[Host]:
    """A host whose server logs everything and has secrets to give away."""
    settings = load_settings({"log_level": "DEBUG"}, {**ENVIRONMENT, **more})
    async with host_of(settings, mode, wire=wire, clock=clock_of(world) if world else None) as host:
        host.world = world
        yield host


@asynccontextmanager
async def host_of(settings: Settings, mode: str, **parts: Any) -> AsyncIterator[Host]:
    person = Person()
    async with Client(build_server(settings, **parts), mode=mode, elicitation_callback=person) as client:
        yield Host(client, person)


def assert_sentence(sentence: str) -> None:
    """What failed, why, what to do: for a person or a model, in bounds, and giving nothing away."""
    assert 30 <= len(sentence) <= 700, sentence
    assert sentence.isprintable(), sentence
    assert sentence[-1] in ".?", sentence
    assert len(re.findall(r"[.:;?] ", sentence)) >= 1, f"no next step: {sentence}"
    for inner in ("Traceback", "planted", "pydantic", "[type=", "httpx", "site-packages", "bug of mage-mcp", "None"):
        assert inner not in sentence, sentence
    assert not re.search(r"://[^\s/]*@", sentence), sentence


# Wrong calls

MISUSES: list[tuple[str, dict[str, Any], str]] = [
    ("list_pipeline", {}, "There is no tool 'list_pipeline'. Did you mean 'list_pipelines'?"),
    ("create_block", {}, "create_block is not offered: toolset authoring is off."),
    ("list_backfills", {}, "toolset backfills is off. A person switches it on with MAGE_TOOLSETS or --toolsets"),
    ("drop_everything" * 500, {}, "There are: list_clusters, get_cluster"),
    ("list_pipelines", {"serch": "x"}, "'serch' is unknown. Did you mean 'search'?"),
    ("list_pipelines", {"x" * 5000: 1}, "is unknown"),
    ("list_pipelines", {f"a{i}": 1 for i in range(1000)}, "It takes: search"),
    ("get_run", {"run": 1, "\u202e\x1b[31m": 1}, "is unknown"),
    ("list_pipelines", {"limit": 0}, "limit: input should be greater than or equal to 1"),
    ("list_pipelines", {"limit": -1000}, "limit: input should be greater than or equal to 1"),
    ("list_pipelines", {"limit": "many"}, "limit: input should be a valid integer"),
    ("list_pipelines", {"limit": None}, "limit: input should be a valid integer"),
    ("list_pipelines", {"limit": 1.5}, "limit: input should be a valid integer"),
    ("list_pipelines", {"offset": -1}, "offset: input should be greater than or equal to 0"),
    ("list_pipelines", {"search": ["planted"]}, "search: input should be a valid string"),
    ("list_pipelines", {"search": {"planted": 1}}, "search: input should be a valid string"),
    ("list_pipelines", {"type": "nonsense"}, "type: input should be 'python'"),
    ("list_pipelines", {"status": "AWAKE"}, "status: input should be 'active'"),
    ("list_pipelines", {"search": "../users"}, "a value contains '../'"),
    ("get_pipeline", {}, "pipeline: field required"),
    ("get_pipeline", {"pipeline": ""}, "pipeline: string should have at least 1 character"),
    ("get_pipeline", {"pipeline": 7}, "pipeline: input should be a valid string"),
    ("get_pipeline", {"pipeline": "../users/1"}, "cannot be the uuid of a pipeline; nothing was sent"),
    ("get_pipeline", {"pipeline": "nope" * 50}, "No pipeline 'nopenope"),
    ("get_pipeline", {"pipeline": "sales_dialy"}, "Did you mean 'sales_daily'?"),
    ("list_runs", {"status": "broken"}, "status: input should be 'initial'"),
    ("list_runs", {"since": "the other day"}, "since is neither a time nor an age"),
    ("list_runs", {"since": "999999999d"}, "since is neither a time nor an age"),
    ("list_runs", {"since": "9" * 5000 + "d"}, "since is neither a time nor an age"),
    ("list_runs", {"until": "2026-13-45"}, "until is neither a time nor an age"),
    ("list_runs", {"trigger": 99999}, "No trigger 99999"),
    ("list_runs", {"trigger": "9" * 5000}, "No trigger '999"),
    ("list_runs", {"trigger": True}, "trigger: input should be a valid string"),
    ("list_runs", {"group_by": "weather"}, "group_by: input should be 'cause'"),
    ("get_run", {}, "Which run? Give run"),
    ("get_run", {"run": 1, "pipeline": "sales_daily"}, "Which run? Give run"),
    ("get_run", {"run": 987654}, "No run 987654"),
    ("get_run", {"run": "http://elsewhere.test/pipelines/x/runs/1"}, "elsewhere.test"),
    ("get_run", {"run": "9" * 5000}, "neither a run id nor a link"),
    ("get_run", {"run": "http://[x/pipelines/x/runs/1"}, "no link that can be read"),
    ("get_run", {"run": 1, "wait_s": [60]}, "wait_s: input should be a valid number"),
    ("get_run", {"run": 1, "wait_s": -1}, "wait_s: input should be greater than or equal to 0"),
    ("get_run", {"run": 1, "wait_s": "long"}, "wait_s: input should be a valid number"),
    ("get_run_logs", {"run": 1, "tail_lines": 0}, "tail_lines: input should be greater than or equal to 1"),
    ("get_run_logs", {"run": 1, "level": "loud"}, "level: input should be 'debug'"),
    ("get_run_logs", {"run": 1, "block": "../x"}, "cannot be the uuid of a block"),
    ("get_run_logs", {"run": 1, "block": "nope"}, "Run 1 has no block 'nope'"),
    ("get_block_output", {"run": 1}, "block: field required"),
    ("get_block_output", {"run": 1, "block": "x", "rows": 0}, "rows: input should be greater than or equal to 1"),
    ("get_block_output", {"run": 1, "block": "%2e%2e"}, "cannot be the uuid of a block"),
    ("get_block_output", {"pipeline": "sales_dialy", "block": "x"}, "Did you mean 'sales_daily'?"),
    ("trigger_pipeline", {"pipeline": "sales_dialy"}, "Did you mean 'sales_daily'?"),
    ("trigger_pipeline", {"pipeline": "sales_daily", "trigger": "99999"}, "No trigger 99999"),
    ("trigger_pipeline", {"pipeline": "sales_daily", "trigger": "nope"}, "No trigger 'nope'"),
    ("trigger_pipeline", {"pipeline": "sales_daily", "variables": ["x"]}, "variables: input should be a valid object"),
    ("trigger_pipeline", {"pipeline": "sales_daily", "variables": {"a-b": 1}}, "no variable's name"),
    ("trigger_pipeline", {"pipeline": "sales_daily", "variables": {"a": "•••"}}, "holds the mask"),
    ("trigger_pipeline", {"pipeline": "sales_daily", "variables": {"a": "x" * 60_000}}, "over 50000 characters"),
    ("trigger_pipeline", {"pipeline": "sales_daily", "execution_date": "soon"}, "execution_date cannot be read"),
    (
        "trigger_pipeline",
        {"pipeline": "sales_daily", "execution_date": "0001-01-01T00:00:00+14:00"},
        "execution_date cannot be read",
    ),
    ("trigger_pipeline", {"pipeline": "paused_reports", "trigger": "reports_daily"}, "is inactive"),
    ("retry_run", {"run": "x"}, "neither a run id nor a link"),
    ("retry_run", {"run": 0}, "No run 0"),
    ("retry_run", {"run": True}, "run: input should be a valid string"),
    ("retry_run", {"run": 987654}, "No run 987654"),
    ("cancel_runs", {"runs": []}, "runs: list should have at least 1 item"),
    ("cancel_runs", {"runs": list(range(1, 30))}, "runs: list should have at most 20 items"),
    ("cancel_runs", {"runs": ["x"] * 10_000}, "runs: list should have at most 20 items"),
    ("cancel_runs", {"runs": [1.5] * 15}, "runs.4: input should be a valid string"),
    ("cancel_runs", {"runs": [1.5] * 15}, "; and 10 more."),
    ("cancel_runs", {"runs": ["1", "x"]}, "neither a run id nor a link"),
    ("cancel_runs", {"runs": "1 2 x"}, "neither a run id nor a link"),
    ("cancel_runs", {"runs": True}, "runs: input should be a valid list"),
    ("cancel_runs", {"runs": {"a": 1}}, "runs: input should be a valid list"),
    ("list_runs", {"since": "last week"}, "since is neither a time nor an age"),
    ("list_runs", {"since": "1M"}, "since is neither a time nor an age"),
    ("list_runs", {"status": "finished"}, "status: input should be 'initial', 'running'"),
    ("get_run", {"pipeline": "sales_daily", "status": "stuck"}, "status: input should be 'initial', 'running'"),
    ("cancel_runs", {"runs": [987654]}, "No run 987654"),
    ("cancel_runs", {"runs": [1], "confirm": ["x"]}, "confirm: input should be a valid string"),
    (
        "create_trigger",
        {"timezone": "Europe/Berlin"},
        "'timezone' is unknown. Every time and cron line is UTC",
    ),
    ("create_trigger", {"cron": "30 6 * * *"}, "'cron' is unknown. Did you mean 'interval'?"),
    ("trigger_pipeline", {"pipeline": "sales_daily", "variables": "a=1"}, "variables: input should be a valid object"),
    ("list_triggers", {"type": "weekly"}, "type: input should be 'time'"),
    ("list_triggers", {"pipeline": "x?y"}, "cannot be the uuid of a pipeline"),
]

CLUSTER_TOOLS = {tool.name for tool in ALL["clusters"].tools(read_only=False)}
"""Tried in `tests/tools/test_clusters_*.py`, over a Cloud."""
SHA = "4f1c2a9be07d3358a6ce1d20f9b8e7c6d5a40312"
SALES = {"pipeline": "sales_daily"}
PARTS = {
    "setting": "prod",
    "commit": SHA,
    "branch": "main",
    "message": "x",
    "environment": "e",
    "target_branch": "main",
}
MISUSES_BEYOND: list[tuple[str, dict[str, Any], str]] = [
    ("create_trigger", {**SALES, "name": "x", "interval": "every day"}, "interval"),
    ("create_trigger", {**SALES, "name": "x", "interval": "61 * * * *"}, "interval"),
    ("create_trigger", {**SALES, "name": "x", "interval": "@daily", "type": "event"}, "type: input should be 'time'"),
    ("create_trigger", {**SALES, "name": "x", "interval": "@daily", "status": "ACTIVATE"}, "status: input should be"),
    ("create_trigger", {**SALES, "name": "x", "interval": "@daily", "start_time": "soon"}, "start_time cannot be read"),
    ("create_trigger", {**SALES, "name": "x", "interval": "@daily", "variables": {"a-b": 1}}, "no variable's name"),
    ("create_trigger", {"pipeline": "../x", "name": "x", "interval": "@daily"}, "cannot be the uuid of a pipeline"),
    ("update_triggers", {"triggers": [], "status": "active"}, "triggers: list should have at least 1 item"),
    ("update_triggers", {"triggers": [0], "status": "active"}, "greater than or equal to 1"),
    ("update_triggers", {"triggers": [1] * 30, "status": "active"}, "at most 20 items"),
    ("update_triggers", {"triggers": [987654], "status": "inactive"}, "987654"),
    ("update_triggers", {"triggers": [1], "clear": ["status"]}, "input should be 'description' or 'start_time'"),
    ("delete_trigger", {"trigger": 987654}, "No trigger 987654"),
    ("delete_trigger", {"trigger": "x/../y"}, "trigger: input should be a valid integer"),
    ("delete_runs", {"runs": [987654]}, "No run 987654"),
    ("delete_runs", {"runs": ["x"]}, "neither a run id nor a link"),
    ("create_backfill", {**SALES, "start": "soon", "end": "2026-03-02"}, "start"),
    ("create_backfill", {**SALES, "start": "2026-03-03", "end": "2026-03-02"}, "end"),
    ("create_backfill", {**SALES, "start": "2026-03-01", "end": "2026-03-02", "interval_type": "x"}, "interval_type"),
    ("create_backfill", {**SALES, "start": "2026-03-01", "end": "2026-03-02", "interval_units": 0}, "interval_units"),
    ("cancel_backfill", {"backfill": 987654}, "987654"),
    ("delete_backfill", {"backfill": -1}, "greater than or equal to 1"),
    ("create_pipeline", {"name": "..."}, "needs a name with a letter or a digit"),
    ("create_pipeline", {"name": "x", "type": "rust"}, "type: input should be"),
    ("create_pipeline", {"name": "x", "clone_from": "sales_dialy"}, "Did you mean 'sales_daily'?"),
    ("update_pipeline", {**SALES, "patch": {"status": "active"}}, "no setting 'status'"),
    ("update_pipeline", {**SALES, "patch": {"executor_type": "kubernetes"}}, "executor_type takes"),
    ("update_pipeline", {**SALES, "patch": {"retry_config": {"retries": 10**12}}}, "retry_config.retries takes"),
    ("update_pipeline", {**SALES, "patch": {"retry_config": []}}, "retry_config takes an object"),
    ("delete_pipeline", {"pipeline": "sales_dialy"}, "Did you mean 'sales_daily'?"),
    ("get_block", {**SALES, "block": "../x"}, "cannot be the uuid of a block"),
    ("get_block", {**SALES, "block": "load_orders", "from_line": 10**9}, "There are no lines"),
    ("list_block_templates", {"type": "dbt"}, "type: input should be 'data_loader'"),
    ("create_block", {**SALES, "name": "../../x", "type": "transformer"}, "makes no name of a file"),
    (
        "create_block",
        {**SALES, "name": "io_config", "type": "custom", "language": "yaml", "content": "a: 1"},
        "secrets",
    ),
    ("create_block", {**SALES, "name": "x", "type": "chart"}, "type: input should be"),
    ("create_block", {**SALES, "name": "x", "type": "custom", "language": "cobol"}, "language: input should be"),
    ("create_block", {**SALES, "name": "x", "type": "custom", "configuration": {"file_path": "/etc/x"}}, "file_path"),
    ("create_block", {**SALES, "name": "x", "type": "custom", "template": "../../x"}, "There is no template"),
    ("update_block", {**SALES, "block": "load_orders", "replace": {"old": "x"}}, "replace takes an object"),
    ("update_block", {**SALES, "block": "load_orders", "content": "x = 1"}, "needs the hash"),
    ("update_block", {**SALES, "block": "load_orders", "upstream_blocks": ["load_orders"]}, "in a circle"),
    ("update_block", {**SALES, "block": "load_orders"}, "There is nothing to change"),
    ("delete_block", {**SALES, "block": "load_orders"}, "comes after"),
    ("update_variables", {**SALES, "set": {"a": None}}, "Mage stores no null"),
    ("update_variables", {**SALES, "set": {"a/b": 1}}, "no variable's name"),
    ("update_variables", SALES, "No variable is named"),
    ("list_files", {"folder": "../.."}, "cannot be the path of a folder"),
    ("read_file", {"path": "/etc/passwd"}, "cannot be the path of a file"),
    ("read_file", {"path": "io_config.yaml"}, "may hold secrets"),
    ("read_file", {"path": "%69o_config.yaml"}, "cannot be the path of a file"),
    ("write_file", {"path": "utils/x.py", "content": "x = ("}, "is no Python"),
    ("write_file", {"path": "utils/x.py"}, "Give content or replace"),
    ("write_file", {"path": ".ssh/authorized_keys", "content": "x"}, "may hold secrets"),
    ("write_file", {"path": "pipelines/sales_daily/metadata.yaml", "content": "a: 1"}, "is not written here"),
    ("list_workspaces", {"limit": 0}, "limit: input should be greater than or equal to 1"),
    ("create_workspace", {"name": "A b"}, "cannot be the name of a workspace"),
    ("create_workspace", {"name": "a", "set_env": {"A": 1}}, "set_env.A: input should be a valid string"),
    ("update_workspace", {"workspace": "../x", "action": "stop"}, "cannot be the name of a workspace"),
    ("update_workspace", {"workspace": "sandbox", "action": "explode"}, "action: input should be 'stop'"),
    ("update_workspace", {"workspace": "sandbox", "action": "patch"}, "A patch of nothing"),
    ("delete_workspace", {"workspace": "nope"}, "No workspace 'nope'"),
    ("deploy_commit", {**PARTS, "commit": "main"}, "no whole commit SHA"),
    ("deploy_commit", {**PARTS, "branch": "-x..y"}, "branch is no name of a branch"),
    ("deploy_commit", {**PARTS, "target_directory": "../x"}, "leads out of the project"),
    ("deploy_commit", {**PARTS, "setting": "../x"}, "cannot be the name"),
    ("list_backfills", {"status": "x"}, "status: input should be"),
    ("list_secrets", {"reveal": True}, "'reveal' is unknown"),
]


async def test_every_wrong_call_of_the_other_toolsets_is_told_too(world: World, era: str):
    wire = Wire(world)
    world.pro = Pro()
    async with host_over(wire, era, world=world, MAGE_TOOLSETS="all") as host:
        beyond = {tool.name for tool in (await host.client.list_tools()).tools} - {tool for tool, _, _ in MISUSES}
        assert beyond <= {tool for tool, _, _ in MISUSES_BEYOND} | CLUSTER_TOOLS, "a tool whose misuse nobody tried"
        for tool, arguments, told in MISUSES_BEYOND:
            sentence = await host.refused(tool, **arguments)
            assert told in sentence, (tool, arguments, sentence)
            assert_sentence(sentence)
        assert {request.method for request in wire.requests} == {"GET"}, "nothing wrong ever left as a change"
        assert world.poison == {}
    assert host.person.asked == []


async def test_every_wrong_call_is_told_in_a_sentence_and_changes_nothing(world: World, era: str):
    wire = Wire(world)
    async with host_over(wire, era, world=world) as host:
        for tool, arguments, told in MISUSES:
            sentence = await host.refused(tool, **arguments)
            assert told in sentence, (tool, sentence)
            assert_sentence(sentence)
        assert {request.method for request in wire.requests} == {"GET"}, "nothing wrong ever left as a change"
        assert world.poison == {}
        assert (await host.call("list_pipelines")).data["total"] > 50
    assert host.person.asked == []


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "half \ud83d", b"bytes", {1, 2}], ids=ascii)
async def test_variables_that_json_cannot_hold_are_refused(world: World, value: Any):
    """The protocol itself lets through half characters; a program that uses the client may give anything."""
    wire = Wire(world)
    mage = Mage(Cluster(url="http://mage.test"), wire=wire, clock=clock_of(world))
    with pytest.raises(MageInvalid, match="cannot be sent as JSON") as caught:
        await mage.runs.start("sales_daily", variables={"a": [value]})
    assert_sentence(str(caught.value))
    assert wire.count("POST") == 0


async def test_secrets_within_a_variable_stay_behind(world: World):
    async with host_over(Wire(world), "auto", world=world) as host:
        given = {"db": {"password": "hunter2", "hosts": [{"api_key": "hunter3", "name": "a"}]}, "n": 3}
        answer = await host.call("trigger_pipeline", pipeline="sales_daily", variables=given)
        masked = {"password": "•••", "hosts": [{"api_key": "•••", "name": "a"}]}
        assert answer.data["variables"] == {"db": masked, "n": 3}
        assert "hunter" not in answer.text


async def test_an_unknown_cluster_of_whatever_type_is_told(world: World, era: str):
    clusters = (
        Cluster(name="prod", url="http://prod.test", read_only=True),
        Cluster(name="dev", url="http://dev.test"),
    )
    async with host_of(Settings(clusters=clusters), era, wire=Wire(world), clock=clock_of(world)) as host:
        for given in ("prdo", "x" * 5000, 7, ["prod"], {"a": 1}):
            sentence = await host.refused("list_pipelines", cluster=given)
            assert "no cluster" in sentence
            assert "There are: prod, dev." in sentence
            assert_sentence(sentence)
        for missing in ({}, {"cluster": ""}, {"cluster": None}):
            assert "on which cluster?" in await host.refused("cancel_runs", runs=[1], **missing)
        assert "is read-only. Others: dev" in await host.refused("cancel_runs", runs=[1], cluster="prod")
        assert (await host.call("list_pipelines", cluster="dev")).data["total"] > 50


# No server, or a broken one

CALLS: list[tuple[str, dict[str, Any]]] = [
    ("list_pipelines", {}),
    ("list_pipelines", {"search": "nothing like it"}),
    ("get_pipeline", {"pipeline": "sales_daily"}),
    ("trigger_pipeline", {"pipeline": "sales_daily"}),
    ("list_runs", {}),
    ("list_runs", {"group_by": "cause"}),
    ("list_runs", {"trigger": "sales_api"}),
    ("get_run", {"run": 1}),
    ("get_run", {"pipeline": "sales_daily"}),
    ("get_run_logs", {"run": 1}),
    ("get_block_output", {"pipeline": "sales_daily", "block": "load_orders"}),
    ("retry_run", {"run": 1}),
    ("cancel_runs", {"runs": [1]}),
    ("list_triggers", {}),
]
LEAK = "Traceback (most recent call last):\n  planted at http://bob:planted@db/x\n"
CRASH = {"error": {"code": 500, "errors": [LEAK], "exception": "it broke\n[SQL: planted]", "message": LEAK}}
BROKEN: dict[str, Reply] = {
    "refuses connections": breaks(httpx.ConnectError),
    "never connects": breaks(httpx.ConnectTimeout),
    "never answers": breaks(httpx.ReadTimeout),
    "hangs up": breaks(httpx.RemoteProtocolError),
    "breaks off": breaks(httpx.ReadError),
    "a busy gateway": says(b"<html>planted</html>", 503, Retry_After="1"),
    "a bad gateway": says(b"<html>planted</html>", 502),
    "too many requests": says(b"", 429),
    "a web page": says(b"<!DOCTYPE html><html>planted</html>"),
    "a page not found": says(b"<html>404: Not Found</html>", 404),
    "a redirect to a login": says(b"", 302, Location="http://elsewhere.test/login?token=planted"),
    "half a JSON": says(b'{"pipelines": [{"uuid": "planted'),
    "nothing": says(b""),
    "a list": says(["planted"]),
    "a number": says(b"17"),
    "no text": says(b"\xff\xfe\x00\x80"),
    "deep JSON": says(b"[" * 100_000),
    "no gzip": says(b"planted", 200, Content_Encoding="gzip"),
    "too much": says(b" " * 20_000 + b"{}"),
    "another server's JSON": says({"hello": "planted"}),
    "another server's error": says({"detail": "planted"}, 500),
    "an error with 200": says({"error": {"code": 400, "message": "no", "type": "api_resource_error"}, "status": 200}),
    "an exception with 200": says(CRASH),
    "an exception with 500": says(CRASH, 500),
    "a role too low": says({"error": {"code": 403, "message": "Unauthorized operation", "type": "x"}}),
    "a wrong key": says({"error": {"code": 401, "message": "Invalid", "type": "invalid_api_key"}}, 401),
    "an endless login": says({"error": {"code": 401, "message": "Expired", "type": "expired_oauth_token"}}, 401),
    "a traversal": says(b"Error: Invalid path (path traversal detected)", 400),
    "a wrong verb": says(b"", 405),
    "rows that are none": says({"pipelines": [7], "pipeline_runs": [7], "pipeline_run": 7, "pipeline_schedules": [7]}),
    "poisoned rows": says({"error": {"code": 500, "exception": "'x' is not among the defined enum values."}}),
}


@pytest.mark.parametrize("kind", BROKEN)
async def test_a_broken_server_is_told_in_a_sentence_and_the_next_call_works(
    world: World, kind: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(transport, "LARGEST_REPLY", 10_000)
    wire = Wire(world)
    for method in ("GET", "POST", "PUT"):
        wire.spoil(method, "", BROKEN[kind], times=10_000)
    async with host_over(wire, "auto", world=world) as host:
        for tool, arguments in CALLS:
            sentence = await host.refused(tool, **arguments)
            assert_sentence(sentence)
            assert "mage.test" in sentence or "Mage" in sentence
        assert (await host.client.list_tools()).tools
        wire.mend()
        monkeypatch.undo()
        assert (await host.call("list_pipelines")).data["total"] > 50
    assert wire.count("PUT") == 0


@pytest.mark.parametrize("kind", ["refuses connections", "half a JSON", "an exception with 200"])
async def test_a_broken_server_is_told_in_the_older_protocol_as_well(kind: str):
    async with host_over(Script(BROKEN[kind]), "legacy") as host:
        for tool, arguments in CALLS:
            assert_sentence(await host.refused(tool, **arguments))


async def test_a_port_at_which_nobody_listens_is_told(era: str):
    async with host_of(load_settings({}, {"MAGE_URL": "http://127.0.0.1:1"}), era) as host:
        sentence = await host.refused("list_pipelines")
        assert "Mage at 127.0.0.1:1 cannot be reached" in sentence
        assert "Check that Mage is running and that MAGE_URL is right" in sentence
        assert (await host.client.list_tools()).tools


async def test_without_a_url_the_server_starts_and_the_first_call_says_what_to_set(era: str):
    async with host_of(load_settings({}, {}), era) as host:
        assert len((await host.client.list_tools()).tools) > 10
        for tool, arguments in CALLS:
            sentence = await host.refused(tool, **arguments)
            assert "No Mage server is configured. Set MAGE_URL" in sentence


async def test_a_wrong_password_is_told_without_it(world: World, era: str):
    world.login = ("planted@example.com", "another")
    wire = Wire(world)
    async with host_over(wire, era, world=world, MAGE_TOKEN="", MAGE_API_KEY="") as host:
        for _ in range(2):
            sentence = await host.refused("list_pipelines")
            assert "refused the email or the password. Correct MAGE_EMAIL and MAGE_PASSWORD" in sentence
            assert_sentence(sentence)
    assert wire.count("POST", "/sessions") == 1


@pytest.mark.parametrize("part", ["/logs", "/file_contents/", "/api/status"])
async def test_what_explains_a_run_may_be_missing(world: World, part: str):
    failed = next(run.id for run in world.runs.values() if run.status(world.now) == "failed")
    inner, answers = Wire(world), [BROKEN["nothing"]]

    class Partly(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            broken = part in request.url.raw_path.decode()
            return answers[-1](request) if broken else await inner.handle_async_request(request)

    async with host_over(Partly(), "auto", world=world, MAGE_PASSWORD="") as host:
        for kind in ("a web page", "an exception with 200", "half a JSON", "a traversal", "a list"):
            answers.append(BROKEN[kind])
            report = (await host.call("get_run", run=failed)).data
            assert report["status"] == "failed"
            assert report["failures"]
            going_on = (await host.call("trigger_pipeline", pipeline="slow_report")).data
            assert going_on["waits_for"]


# Changes whose answer is lost

LOST = ["never answers", "hangs up", "a bad gateway", "half a JSON", "nothing", "too much"]


@pytest.fixture
async def hosted(world: World) -> AsyncIterator[tuple[Host, Wire]]:
    """A host over a wire that can be spoiled, with the trigger for our runs made."""
    wire = Wire(world)
    async with host_over(wire, "auto", world=world) as host:
        await host.call("trigger_pipeline", pipeline="sales_daily", wait_s=45)
        wire.requests.clear()
        yield host, wire


@pytest.fixture(autouse=True)
def _small_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that "too much" is too much, and nothing of the simulated Mage's."""
    body = b" " * 300_000 + b"{}"
    monkeypatch.setattr(transport, "LARGEST_REPLY", 299_000)
    monkeypatch.setitem(BROKEN, "too much", says(body))


@pytest.mark.parametrize("kind", [*LOST, "an exception with 200", "an exception with 500", "another server's error"])
async def test_a_run_whose_answer_was_lost_is_found_by_its_mark(hosted: tuple[Host, Wire], kind: str):
    host, wire = hosted
    assert host.world is not None
    before = set(host.world.runs)
    wire.spoil("POST", "/pipeline_runs", BROKEN[kind], arrives=True)
    answer = (await host.call("trigger_pipeline", pipeline="sales_daily")).data
    (made,) = set(host.world.runs) - before
    assert answer["run"] == made
    assert "found by the mark" in answer["note"]
    assert wire.count("POST") == 1


@pytest.mark.parametrize("kind", LOST)
async def test_a_run_that_was_perhaps_not_made_is_not_made_again(hosted: tuple[Host, Wire], kind: str):
    host, wire = hosted
    assert host.world is not None
    before = set(host.world.runs)
    wire.spoil("POST", "/pipeline_runs", BROKEN[kind])
    sentence = await host.refused("trigger_pipeline", pipeline="sales_daily")
    assert_sentence(sentence)
    assert "Mage's answer was lost, and no run of trigger" in sentence
    assert "list_runs(pipeline='sales_daily') before you start another" in sentence
    assert set(host.world.runs) == before
    assert wire.count("POST") == 1
    assert wire.count("GET") >= 3, "looked for more than once, since it may come late"


async def test_a_run_that_mage_refused_is_told_as_refused(hosted: tuple[Host, Wire]):
    host, wire = hosted
    wire.spoil("POST", "/pipeline_runs", BROKEN["an exception with 200"])
    sentence = await host.refused("trigger_pipeline", pipeline="sales_daily")
    assert "it broke" in sentence
    assert "lost" not in sentence
    assert wire.count("POST") == 1


@pytest.mark.parametrize("look", ["never answers", "half a JSON", "an exception with 200", "a role too low", "a list"])
@pytest.mark.parametrize("post", ["never answers", "an exception with 200"])
async def test_where_the_look_fails_too_the_run_is_still_called_uncertain(
    hosted: tuple[Host, Wire], look: str, post: str
):
    """Told only of the look, a model would try again, and there would be two runs."""
    host, wire = hosted
    wire.spoil("POST", "/pipeline_runs", BROKEN[post], arrives=True)
    wire.spoil("GET", "/pipeline_runs", BROKEN[look], times=100)
    sentence = await host.refused("trigger_pipeline", pipeline="sales_daily")
    assert_sentence(sentence)
    assert "looking for the run failed as well" in sentence
    assert "before you start another" in sentence
    assert wire.count("POST") == 1


async def test_a_look_that_fails_once_is_made_again(hosted: tuple[Host, Wire]):
    host, wire = hosted
    wire.spoil("POST", "/pipeline_runs", breaks(httpx.ReadTimeout), arrives=True)
    wire.spoil("GET", "/pipeline_runs", says(b"<html>"), times=2)
    assert "found by the mark" in (await host.call("trigger_pipeline", pipeline="sales_daily")).data["note"]


async def test_a_run_is_told_even_where_looking_at_it_fails(hosted: tuple[Host, Wire]):
    host, wire = hosted
    assert host.world is not None
    made = max(host.world.runs) + 1
    wire.spoil("GET", f"/pipeline_runs/{made}", says(b"<html>"), times=100)
    answer = (await host.call("trigger_pipeline", pipeline="sales_daily", wait_s=5)).data
    assert answer["run"] == made
    assert "The run was started; looking at it then failed" in answer["note"]


async def test_two_calls_at_once_make_one_trigger_and_two_runs(world: World, era: str):
    wire = Wire(world)
    before = set(world.triggers), set(world.runs)
    runs: list[int] = []
    async with host_over(wire, era, world=world) as host:

        async def start() -> None:
            runs.append((await host.call("trigger_pipeline", pipeline="new_pipeline")).data["run"])

        async with anyio.create_task_group() as group:
            for _ in range(2):
                group.start_soon(start)
    assert len(set(world.triggers) - before[0]) == 1
    assert set(runs) == set(world.runs) - before[1]
    assert len(runs) == 2
    assert wire.count("POST", "/pipeline_schedules") == 1
    assert wire.count("POST", "/pipeline_runs") == 2


@pytest.mark.parametrize("arrives", [True, False])
async def test_a_trigger_whose_answer_was_lost_is_looked_for(world: World, arrives: bool):
    wire = Wire(world)
    before = set(world.triggers)
    wire.spoil("POST", "/pipeline_schedules", breaks(httpx.ReadTimeout), arrives=arrives, times=1 if arrives else 9)
    async with host_over(wire, "auto", world=world) as host:
        if arrives:
            await host.call("trigger_pipeline", pipeline="new_pipeline")
            assert len(set(world.triggers) - before) == 1
            assert wire.count("POST", "/pipeline_schedules") == 1
        else:
            assert_sentence(await host.refused("trigger_pipeline", pipeline="new_pipeline"))
            assert set(world.triggers) == before
            assert wire.count("POST", "/pipeline_runs") == 0


@pytest.fixture
async def going_on(hosted: tuple[Host, Wire]) -> tuple[Host, Wire, int]:
    host, wire = hosted
    run = (await host.call("trigger_pipeline", pipeline="slow_report", variables={"sleep_seconds": 600})).data["run"]
    assert host.world is not None
    host.world.clock.advance(10)
    wire.requests.clear()
    return host, wire, run


@pytest.mark.parametrize("kind", LOST)
async def test_a_cancel_whose_answer_was_lost_is_read_back(going_on: tuple[Host, Wire, int], kind: str):
    host, wire, run = going_on
    wire.spoil("PUT", f"/pipeline_runs/{run}", BROKEN[kind], arrives=True)
    answer = (await host.call("cancel_runs", runs=[run])).data
    assert answer["changed"] is True
    (change,) = answer["runs"]
    assert (change["before"], change["after"]) == ("running", "cancelled")
    assert "answer was lost" in change["note"]
    assert wire.count("PUT") == 1


async def test_a_cancel_that_did_not_happen_is_told_as_such(going_on: tuple[Host, Wire, int]):
    host, wire, run = going_on
    wire.spoil("PUT", f"/pipeline_runs/{run}", breaks(httpx.ReadTimeout))
    answer = (await host.call("cancel_runs", runs=[run])).data
    assert answer["changed"] is False
    (change,) = answer["runs"]
    assert (change["before"], change["after"]) == ("running", "running")
    assert "answer was lost" in change["note"]
    assert "The run goes on" in change["note"]
    assert "accepted" not in change["note"]
    assert "already ended" not in answer.get("note", "")
    assert wire.count("PUT") == 1


async def test_a_cancel_that_cannot_be_read_back_is_uncertain(going_on: tuple[Host, Wire, int]):
    host, wire, run = going_on
    lost = after_the_write(wire, f"/pipeline_runs/{run}")
    wire.spoil("PUT", f"/pipeline_runs/{run}", lost, arrives=True)
    sentence = await host.refused("cancel_runs", runs=[run])
    assert_sentence(sentence)
    assert f"The request for run {run} was sent" in sentence
    assert f"get_run(run={run}) before you try again" in sentence


async def test_of_several_cancels_each_is_told_though_one_fails(going_on: tuple[Host, Wire, int]):
    host, wire, run = going_on
    other = (await host.call("trigger_pipeline", pipeline="slow_report", variables={"sleep_seconds": 600})).data["run"]
    wire.spoil("PUT", f"/pipeline_runs/{other}", BROKEN["an exception with 200"])
    answer = (await host.call("cancel_runs", runs=[other, run])).data
    assert answer["changed"] is True
    assert [(change["run"], change["after"]) for change in answer["runs"]] == [(run, "cancelled"), (other, "unknown")]
    assert "It failed: " in answer["runs"][1]["note"]
    assert "planted" not in answer["runs"][1]["note"]


def after_the_write(wire: Wire, path: str) -> Callable[[httpx.Request], httpx.Response]:
    """From this answer on, which is lost itself, nothing can be read at `path`."""

    def lose(request: httpx.Request) -> httpx.Response:
        wire.spoil("GET", path, breaks(httpx.ConnectError), times=1000)
        return breaks(httpx.ReadTimeout)(request)

    return lose


@pytest.fixture
async def to_retry(hosted: tuple[Host, Wire]) -> tuple[Host, Wire, int]:
    host, wire = hosted
    run = (await host.call("trigger_pipeline", pipeline="flaky_import", wait_s=45)).data
    assert run["status"] == "failed"
    wire.requests.clear()
    return host, wire, run["run"]


async def test_a_retry_whose_answer_was_lost_is_read_back(to_retry: tuple[Host, Wire, int]):
    host, wire, run = to_retry
    wire.spoil("PUT", f"/pipeline_runs/{run}", breaks(httpx.RemoteProtocolError), arrives=True)
    answer = (await host.call("retry_run", run=run)).data
    assert answer["changed"] is True
    assert answer["before"] == "failed"
    assert answer["after"] in {"running", "initial"}
    assert "answer was lost" in answer["note"]
    assert wire.count("PUT") == 1


async def test_a_retry_that_did_not_happen_is_told_as_such(to_retry: tuple[Host, Wire, int]):
    host, wire, run = to_retry
    wire.spoil("PUT", f"/pipeline_runs/{run}", breaks(httpx.RemoteProtocolError))
    answer = (await host.call("retry_run", run=run)).data
    assert answer["changed"] is False
    assert answer["after"] == "failed"
    assert "answer was lost" in answer["note"]
    assert "took" not in answer["note"]
    assert "The run still is failed" in answer["note"]


async def test_a_retry_that_cannot_be_read_back_is_uncertain(to_retry: tuple[Host, Wire, int]):
    host, wire, run = to_retry
    wire.spoil("PUT", f"/pipeline_runs/{run}", after_the_write(wire, f"/pipeline_runs/{run}"), arrives=True)
    sentence = await host.refused("retry_run", run=run)
    assert_sentence(sentence)
    assert f"The request for run {run} was sent" in sentence
    assert wire.count("PUT") == 1

"""No secret leaves the process, whatever is called and whatever breaks.

Everything that Mage and Mage Cloud can tell holds secrets, every tool is called in every way it can go, and all that
comes out is looked through: answers in both forms, questions, progress, stderr, audit lines, reprs.

A secret is known from when it was read (or configured) on: each test first looks at what holds them.
"""

import json
import logging
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import httpx
import pytest
from mcp import Client, MCPError
from mcp.types import ResourceTemplateReference
from pydantic import SecretStr

from mage_mcp import text
from mage_mcp.client import Mage
from mage_mcp.client.clusters.saving import Saved
from mage_mcp.commands._demo import demo_clusters
from mage_mcp.demo import script
from mage_mcp.demo.cloud import MAGE_LOGIN, CloudWorld, Switches
from mage_mcp.demo.cloud_app import create_cloud_app
from mage_mcp.demo.planted import PLANTED
from mage_mcp.demo.pro import Pro, Workspace
from mage_mcp.demo.script import Output, Script
from mage_mcp.demo.traces import Raised, raised_in
from mage_mcp.demo.world import World
from mage_mcp.server import build_server
from mage_mcp.settings import TOOLSETS, Settings
from tests import registers
from tests.conftest import ERAS, URL, clock_of
from tests.host import Person

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

GIVEN = "qz9X"
TOLD = "wv8Y"
"""Set by the caller: too short to be masked by their looks, and never to come back. The second has a telling name."""
OURS = {
    "header of a proxy": "proxy-header-5Tn8wK",
    "key of Mage's API": "own-api-key-3Rv6yB",
    "from the server's environment": "from-env-8Hw2-line",
}
NEVER_TOLD = {"cloud password, editor", "cloud password, viewer", "cloud key, private", "password in an error text"}
"""Neither Mage nor the Cloud ever tells these, so that nobody here can know them."""
SHOWN_IN_PART = {"prod SLACK_WEBHOOK_URL"}
"""Whose first part is an id."""
_LONG, _HALF = 12, 9
WAYS: dict[str, Person | None] = {"accept": Person(), "decline": Person(action="decline"), "preview": None}


@pytest.fixture(autouse=True)
def _own_registers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """What is remembered here stays here, and the root logger is as it was afterwards."""
    registers.empty(monkeypatch)
    monkeypatch.setenv("MAGE_MCP_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("MAGE_MCP_SECRET_NEW", OURS["from the server's environment"])
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    root.handlers.clear()
    yield
    root.handlers[:], root.level = before, level


class Wire(httpx.AsyncBaseTransport):
    """The simulated Cloud with its clusters, until something is to break; then every answer does."""

    def __init__(self, cloud: CloudWorld) -> None:
        self._inner = httpx.ASGITransport(app=create_cloud_app(cloud))
        self.breaks: Callable[[httpx.Request], httpx.Response] | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.breaks is not None:
            return self.breaks(request)
        return await self._inner.handle_async_request(request)


@dataclass
class Stage:
    """A server full of secrets, and all that came out of it."""

    client: Client
    cloud: CloudWorld
    wire: Wire
    audit: Path
    person: Person
    heard: list[str] = field(default_factory=list)

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        async def progress(done: float, total: float | None, message: str | None) -> None:
            self.heard.append(message or "")

        try:
            result = await self.client.call_tool(tool, arguments, progress_callback=progress)
        except MCPError as error:
            self.heard.append(f"{error.error.message} {error.error.data}")
            return {}
        self.heard += [content.text for content in result.content if content.type == "text"]
        self.heard.append(json.dumps(result.structured_content, ensure_ascii=False))
        self.heard.append(result.model_dump_json())
        return result.structured_content or {}

    async def agreed(self, tool: str, **arguments: Any) -> None:
        """Call; a preview is followed by the call with its code."""
        first = await self.call(tool, **arguments)
        if first.get("confirm"):
            await self.call(tool, **arguments, confirm=first["confirm"])

    async def read(self, uri: str) -> None:
        await self.hear(self.client.read_resource(uri))

    async def prompt(self, name: str, arguments: dict[str, str]) -> None:
        await self.hear(self.client.get_prompt(name, arguments))

    async def complete(self, template: str, argument: str, typed: str, **given: str) -> None:
        ref = ResourceTemplateReference(type="ref/resource", uri=template)
        await self.hear(self.client.complete(ref, {"name": argument, "value": typed}, context_arguments=given))

    async def hear(self, answer: Any) -> None:
        try:
            result = await answer
        except MCPError as error:
            self.heard.append(f"{error.error.message} {error.error.data}")
            return
        self.heard.append(result.model_dump_json())
        self.heard += [content.text for content in getattr(result, "contents", ())]
        self.heard += [message.content.text for message in getattr(result, "messages", ())]

    async def look_around(self) -> None:
        """Read whatever holds secrets, so that they are known."""
        for cluster in ("prod", "staging"):
            await self.call("get_cluster", cluster=cluster)
            await self.call("list_triggers", cluster=cluster, limit=100)
            await self.call("get_pipeline", cluster=cluster, pipeline="sales_daily")
            await self.call("list_workspaces", cluster=cluster)

    def come_out(self, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
        written = capsys.readouterr()
        assert written.out == ""
        audit = self.audit.read_text(encoding="utf-8") if self.audit.exists() else ""
        said = "\n".join(self.heard)
        return {"answers": said, "questions": "\n".join(self.person.asked), "stderr": written.err, "audit": audit}


def all_secrets(cloud: CloudWorld) -> dict[str, str]:
    return {**cloud.secrets(), **OURS, "given in set": GIVEN, "given under a telling name": TOLD}


def known_secrets(cloud: CloudWorld) -> str:
    """Those that can turn up anywhere, as one text."""
    found = {name: value for name, value in cloud.secrets().items() if name not in NEVER_TOLD}
    return " ".join([*found.values(), *OURS.values()])


def forms(secret: str) -> set[str]:
    return {secret, quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1], repr(secret)[1:-1]}


def assert_nothing_leaks(told: dict[str, str], secrets_: dict[str, str]) -> None:
    for where, said in told.items():
        for name, secret in secrets_.items():
            for form in forms(secret):
                at = said.find(form)
                assert at < 0, f"{name} in {where}: …{said[max(0, at - 300) : at + 120]}…"
            if len(secret) >= _LONG and name not in SHOWN_IN_PART:
                at = said.find(secret[:_HALF])
                assert at < 0, f"half of {name} in {where}: …{said[max(0, at - 300) : at + 120]}…"


def plant(cloud: CloudWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Secrets wherever Mage's users can write something, and wherever their code can say something."""
    everything = known_secrets(cloud)
    one = PLANTED["prod SNOWFLAKE_PASSWORD"]

    def broken(source: str) -> Raised:
        return raised_in(source, "ConnectionError", f"refused with {everything}", ("transform", "raise Conn"))

    monkeypatch.setitem(
        script.SCRIPTS,
        "sync_accounts",
        Script(ends="failed", raises=broken, prints=lambda _: (f"printed {everything}", everything)),
    )
    monkeypatch.setitem(
        script.SCRIPTS,
        "load_accounts",
        Script(
            prints=lambda _: tuple(everything.split(" ")),
            outputs=lambda _: (
                Output(("a", f"column {one}", "api_key"), ((everything, one, "bare"), ({"x": everything}, 1, 2))),
                Output(text=f"{'x' * 1985} {one} {everything}"),
                Output(("cell",), tuple((f"{'x' * (98 - n)}{one} {everything}",) for n in range(1, 18))),
            ),
        ),
    )
    for cluster in cloud.clusters.values():
        cluster.name = f"Production {one}"
        _plant_in(cluster.world, everything, one)
        assert cluster.world.pro
        config = f"env:\n- name: A\n  value: {one}\nnote: {json.dumps(everything)}\napi_key: {one}\n"
        cluster.world.pro.workspaces["leaky"] = Workspace(
            "leaky", config, {"post_start": {"token": one, "x": everything}}
        )


def _plant_in(world: World, everything: str, one: str) -> None:
    leaky = world.pipelines["leaky_sync"]
    long = [f"{'x' * n}{one} and more" for n in range(102, 119)]
    variables = {
        "everything": everything,
        "nested": {"list": [everything, {"db_password": "bare-value-1"}], one: one},
        "api_key_count": "bare-value-2",
        "text": "bare-value-2 and bare-value-1",
        **{f"cut_{number}": value for number, value in enumerate(long)},
    }
    world.pipelines["leaky_sync"] = replace(
        leaky, description=f"{'x' * 70}{everything}", tags=(one, everything), variables=variables
    )
    block = next(block for block in leaky.blocks if block.uuid == "sync_accounts")
    lines = [f"VALUE_{number} = '{secret}'  # {secret}" for number, secret in enumerate(everything.split(" "))]
    source = block.source.replace(
        "    raise Conn", "\n".join(f"    {line}" for line in lines[-4:]) + "\n    raise Conn"
    )
    world.write_file(block.file_path, "\n".join([*lines, source, *lines]))
    trigger = world.add_trigger("leaky_sync", f"nightly {one}")
    trigger.schedule_type, trigger.status = "api", "active"
    trigger.description, trigger.tags = everything, [one, everything]
    trigger.variables, trigger.settings = dict(variables), {"note": everything}
    world.create_run(trigger, {"given": everything, "text": "bare-value-2"}, {"event": everything})
    world.clock.advance(30)


@asynccontextmanager
async def stage(
    mode: str,
    way: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    switches: Switches | None = None,
    **marks: bool,
) -> AsyncIterator[Stage]:
    cloud = CloudWorld(switches=switches, login=MAGE_LOGIN)
    for cluster in cloud.clusters.values():
        cluster.world.pro = Pro()
    wire, audit = Wire(cloud), tmp_path / "audit.jsonl"
    own = {
        "email": MAGE_LOGIN[0],
        "password": SecretStr(MAGE_LOGIN[1]),
        "headers": {"X-Proxy": SecretStr(OURS["header of a proxy"])},
    }
    clusters = tuple(cluster.model_copy(update={**own, **marks}) for cluster in demo_clusters(URL))
    settings = Settings(clusters=clusters, toolsets=TOOLSETS, log_level="DEBUG", audit=str(audit))
    text.remember_secret(OURS["key of Mage's API"])  # as the settings do when they are loaded
    person = WAYS[way] and replace(WAYS[way], asked=[])
    server = build_server(settings, wire=wire, clock=clock_of(cloud))
    async with Client(server, mode=mode, elicitation_callback=person) as client:
        on = Stage(client, cloud, wire, audit, person or Person())
        await on.look_around()
        plant(cloud, monkeypatch)
        await on.look_around()
        on.heard.append(repr(settings))
        yield on


def calls(cloud: CloudWorld) -> dict[str, list[dict[str, Any]]]:
    """Every tool, in every way it can go."""
    one = PLANTED["prod SNOWFLAKE_PASSWORD"]
    everything = known_secrets(cloud)
    world = cloud.clusters["prod"].world
    ids = [run.id for run in world.runs.values()]
    leaky = [run.id for run in world.runs.values() if run.pipeline.uuid == "leaky_sync"]
    slow = [run.id for run in world.runs.values() if run.status(world.now) == "running"]
    link = f"https://user:{one}@elsewhere.test/pipelines/{one}/runs/1"
    prod = {"cluster": "prod"}
    unknown = [{**prod, one: 1}, {"cluster": one}, {"cluster": ""}]
    secret_value = {"set": {"MODE": GIVEN, "DB_PASSWORD": TOLD, "LONG": f"{one}-and-more"}}
    telling = {name: value for name, value in secret_value["set"].items() if name != "MODE"}
    wrong_set = [{"MODE": 5, f"A={GIVEN}": 5}, GIVEN, [f"MODE={GIVEN}"], {"9BAD": GIVEN}, {f"PASSWORD={TOLD}": "x"}]
    triggers = [trigger.id for trigger in world.triggers.values() if trigger.pipeline_uuid == "leaky_sync"]
    sync = next(block.file_path for block in world.pipelines["leaky_sync"].blocks if block.uuid == "sync_accounts")
    lines = f"password = '{TOLD}'  # {everything}\n"
    code = f"@transformer\ndef f(data, *args, **kwargs):\n    {lines}    return data\n"
    patch = {"redis": {"url": f"redis://:{one}@cache"}, "apiKey": one, "note": everything}
    return {
        "list_clusters": [{}, {one: one}],
        "get_cluster": [prod, {"cluster": "staging"}, *unknown],
        "list_pipelines": [prod, {**prod, "limit": 100}, {**prod, "offset": 5000}, *unknown]
        + [{**prod, key: one} for key in ("search", "tag", "type", "limit")],
        "get_pipeline": [{**prod, "pipeline": uuid} for uuid in ("sales_daily", "leaky_sync", one, f"../{one}", "")],
        "list_runs": [prod, {**prod, "limit": 100}, {**prod, "group_by": "cause"}, *unknown]
        + [{**prod, "pipeline": "leaky_sync"}, {**prod, "status": "failed"}]
        + [{**prod, key: one} for key in ("pipeline", "trigger", "since", "until", "status", "group_by")],
        "get_run": [{**prod, "run": run} for run in (*ids[-8:], *leaky, 99999, one, link, f"x{link}")]
        + [{**prod, "pipeline": "leaky_sync", "wait_s": 5}, {**prod, "pipeline": one}, {**prod}],
        "get_run_logs": [{**prod, "run": run} for run in (*leaky, link)]
        + [{**prod, "run": leaky[-1], "tail_lines": 500}, {**prod, "run": leaky[-1], "search": one}]
        + [{**prod, "run": leaky[-1], "block": block} for block in ("load_accounts", "sync_accounts", one)],
        "get_block_output": [{**prod, "run": leaky[-1], "block": "load_accounts", "rows": n} for n in (1, 10, 100)]
        + [{**prod, "run": leaky[-1], "block": one}, {**prod, "pipeline": one, "block": one}],
        "list_triggers": [
            {**prod, "limit": 100},
            {**prod, "search": one},
            {**prod, "pipeline": one},
            {**prod, "pipeline": "leaky_sync"},
            {**prod, "type": one},
        ],
        "trigger_pipeline": [
            {**prod, "pipeline": "sales_daily", "variables": {"region": everything}, "wait_s": 30},
            {**prod, "pipeline": "sales_daily", "variables": {"region": one, "db_password": TOLD}, "wait_s": 30},
            {**prod, "pipeline": "leaky_sync", "wait_s": 30},
            {**prod, "pipeline": "leaky_sync", "trigger": f"nightly {one}", "wait_s": 30},
            {**prod, "pipeline": "slow_report", "wait_s": 3, "variables": {"token": one}},
            *({**prod, "pipeline": "sales_daily", key: one} for key in ("trigger", "execution_date", "variables")),
            {**prod, "pipeline": "sales_daily", "variables": {one: one}},
            {**prod, "pipeline": one},
            {"pipeline": "sales_daily"},
        ],
        "retry_run": [{**prod, "run": run} for run in (*leaky, *slow, 99999, one)]
        + [{**prod, "run": leaky[-1], "from_block": block} for block in ("load_accounts", one)]
        + [{**prod, "run": ids[0], "from_block": "export_orders"}],
        "cancel_runs": [{**prod, "runs": runs} for runs in (slow, leaky, [99999], [one], slow)],
        "create_backfill": [
            {**prod, "pipeline": "leaky_sync", "start": "2026-03-01", "end": "2026-03-02", "dry_run": True},
            {**prod, "pipeline": "leaky_sync", "start": "2026-03-01", "end": "2026-03-02", "variables": {"token": one}},
            {**prod, "pipeline": "leaky_sync", "start": "2026-03-01", "end": "2026-03-02"},
            {**prod, "pipeline": one, "start": "2026-03-01", "end": "2026-03-02"},
            *(
                {**prod, "pipeline": "sales_daily", "start": "2026-03-01", "end": "2026-03-02", key: one}
                for key in ("start", "end", "interval_type", "interval_units", "name", "variables", "max_runs")
            ),
        ],
        "list_backfills": [prod, {**prod, "pipeline": one}, {**prod, "status": one}, *unknown],
        "cancel_backfill": [{**prod, "backfill": backfill} for backfill in (1, 1, 99999, one)],
        "delete_backfill": [{**prod, "backfill": backfill} for backfill in (1, 1, 99999, one)],
        "create_trigger": [
            *(
                {
                    **prod,
                    "pipeline": "leaky_sync",
                    "name": "made",
                    "interval": "@daily",
                    "description": everything,
                    "tags": [one],
                    "variables": {"region": everything, "db_password": TOLD, one: one},
                    "dry_run": dry,
                }
                for dry in (True, False)
            ),
            {**prod, "pipeline": "leaky_sync", "name": "made 2", "type": "api", "variables": {"db_password": TOLD}},
            *(
                {**prod, "pipeline": "sales_daily", "name": "n", "interval": "@daily", key: one}
                for key in ("name", "interval", "start_time", "type", "status", "timeout_s", "variables", "tags")
            ),
            {**prod, "pipeline": one, "name": "x", "interval": "@daily"},
        ],
        "update_triggers": [
            {**prod, "triggers": triggers, "variables": {"db_password": TOLD, "note": everything}, "dry_run": True},
            {**prod, "triggers": triggers, "variables": {"db_password": TOLD, "note": everything}},
            {**prod, "triggers": triggers, "unset_variables": ["db_password", one], "clear": ["description"]},
            *(
                {**prod, "triggers": triggers, key: one}
                for key in ("status", "interval", "start_time", "name", "description", "clear", "timeout_s")
            ),
            {**prod, "triggers": [99999], "status": "inactive"},
            {**prod, "triggers": one, "status": "inactive"},
        ],
        "delete_trigger": [{**prod, "trigger": trigger} for trigger in (*triggers, 99999, one)],
        "delete_runs": [{**prod, "runs": runs} for runs in (leaky[:1], slow, [99999], [one], link)],
        "get_block": [
            {**prod, "pipeline": "leaky_sync", "block": "sync_accounts"},
            {**prod, "pipeline": "leaky_sync", "block": "sync_accounts", "from_line": 2, "to_line": 3},
            {**prod, "pipeline": "leaky_sync", "block": one},
            {**prod, "pipeline": one, "block": one},
        ],
        "list_block_templates": [prod, {**prod, "search": one}, {**prod, "type": one}],
        "create_block": [
            *(
                {
                    **prod,
                    "pipeline": "leaky_sync",
                    "name": "made",
                    "type": "transformer",
                    "content": code,
                    "configuration": {"note": everything, "api_key": TOLD},
                    "dry_run": dry,
                }
                for dry in (True, False)
            ),
            {**prod, "pipeline": "leaky_sync", "name": "wrong", "type": "transformer", "content": f"{lines} = ("},
            *(
                {**prod, "pipeline": "leaky_sync", "name": "n", "type": "transformer", key: one}
                for key in ("name", "type", "language", "template", "upstream_blocks", "configuration")
            ),
            {**prod, "pipeline": one, "name": "n", "type": "transformer"},
        ],
        "update_block": [
            {**prod, "pipeline": "leaky_sync", "block": "made", "replace": {"old": "return data", "new": "return 1"}},
            {**prod, "pipeline": "leaky_sync", "block": "made", "replace": {"old": "password", "new": "note"}},
            {**prod, "pipeline": "leaky_sync", "block": "made", "replace": {"old": one, "new": f"token: {TOLD}"}},
            {**prod, "pipeline": "leaky_sync", "block": "made", "content": code, "expected_hash": one},
            {**prod, "pipeline": "leaky_sync", "block": "made", "replace": {"old": "def f", "new": f"{lines}def ("}},
            {
                **prod,
                "pipeline": "leaky_sync",
                "block": "made",
                "configuration": {"note": "x", "api_key": None, "b": one},
            },
            {**prod, "pipeline": "leaky_sync", "block": "made", "upstream_blocks": [one]},
            {**prod, "pipeline": "leaky_sync", "block": one, "content": one},
        ],
        "delete_block": [
            {**prod, "pipeline": "leaky_sync", "block": block, "delete_file": True}
            for block in ("made", one, "sync_accounts")
        ],
        "list_files": [prod, {**prod, "search": one}, {**prod, "folder": one}, {**prod, "folder": "transformers"}],
        "read_file": [
            *({**prod, "path": path} for path in (sync, "io_config.yaml", one, f"../{one}", "transformers")),
            {**prod, "path": sync, "from_line": 2, "to_line": 3},
        ],
        "write_file": [
            *({**prod, "path": "utils/made.py", "content": code, "dry_run": dry} for dry in (True, False)),
            {**prod, "path": "utils/made.py", "content": f"x = 1\n{code}", "expected_hash": one},
            *(
                {**prod, "path": "utils/made.py", "replace": {"old": old, "new": "note"}}
                for old in ("password", one, "data")
            ),
            *({**prod, "path": path, "content": f"{lines}: [\n"} for path in ("utils/new.py", "a.yaml", "a.json", one)),
        ],
        "list_workspaces": [prod, {**prod, "search": one}],
        "create_workspace": [
            {
                **prod,
                "name": "made",
                "set_env": {"MODE": GIVEN, "DB_PASSWORD": TOLD},
                "set_env_from": {"NEW_ONE": "MAGE_MCP_SECRET_NEW"},
                "container_config": {"note": everything, "api_key": TOLD},
                "lifecycle_config": {"post_start": {"token": TOLD}},
            },
            *({**prod, "name": "made-2", "set_env": wrong} for wrong in wrong_set),
            {**prod, "name": "made-3", "set_env_from": {"A": one}},
            *(
                {**prod, "name": "made-4", key: one}
                for key in ("name", "container_config", "set_env", "lifecycle_config")
            ),
        ],
        "update_workspace": [
            *(
                {
                    **prod,
                    "workspace": "leaky",
                    "action": "patch",
                    "set_env": {"MODE": GIVEN, "A": TOLD},
                    "unset_env": [one, f"PASSWORD={TOLD}"],
                    "container_config": {"note": "new", "api_key": TOLD},
                    "dry_run": dry,
                }
                for dry in (True, False)
            ),
            {**prod, "workspace": "leaky", "action": "patch", "set_env": {"MODE": GIVEN, "A": TOLD}},
            {**prod, "workspace": "leaky", "action": "patch", "container_config": {"note": None, "api_key": TOLD}},
            {
                **prod,
                "workspace": "leaky",
                "action": "patch",
                "lifecycle_config": {"post_start": {"token": TOLD, "x": one}},
            },
            {
                **prod,
                "workspace": "leaky",
                "action": "patch",
                "container_config": {"env": [{"name": "A", "value": GIVEN}]},
            },
            {**prod, "workspace": "leaky", "action": "stop"},
            *({**prod, "workspace": one, "action": action} for action in ("stop", one)),
        ],
        "delete_workspace": [{**prod, "workspace": name} for name in ("leaky", one)],
        "deploy_commit": [
            {
                **prod,
                "setting": "production",
                "commit": "4f1c2a9be07d3358a6ce1d20f9b8e7c6d5a40312",
                "branch": "main",
                "message": everything[:280],
                "environment": "staging",
                "target_branch": "main",
                **more,
            }
            for more in (
                {},
                *({key: one} for key in ("setting", "commit", "branch", "environment", "target_directory")),
            )
        ],
        "create_pipeline": [
            {**prod, "name": "made", "description": everything, "tags": [one]},
            *({**prod, "name": "copied", "clone_from": "leaky_sync", "dry_run": dry} for dry in (True, False)),
            *({**prod, "name": "other", key: one} for key in ("name", "type", "clone_from", "tags")),
        ],
        "update_pipeline": [
            *(
                {**prod, "pipeline": "copied", "description": f"{everything} 2", "dry_run": dry}
                for dry in (True, False)
            ),
            *({**prod, "pipeline": "copied", **more} for more in ({"clear": ["description"]}, {"name": one}, {})),
            *({**prod, "pipeline": "copied", "patch": {key: one}} for key in (one, "executor_type", "retry_config")),
            {**prod, "pipeline": "copied", "tags": [one]},
            {**prod, "pipeline": one, "description": "x"},
        ],
        "update_variables": [
            # Values of a variable whose name does not tell are shown, as get_pipeline shows them.
            *({**prod, "pipeline": "copied", "set": telling, "dry_run": dry} for dry in (True, False)),
            {**prod, "pipeline": "copied", "set": {"MODE": everything, "plain": {"token": one, "deep": [everything]}}},
            {**prod, "pipeline": "copied", "unset": ["MODE", "DB_PASSWORD", "region", one, f"PASSWORD={TOLD}"]},
            *({**prod, "pipeline": "copied", "set": wrong} for wrong in wrong_set),
            {**prod, "pipeline": one, "set": {"a": one}},
        ],
        "delete_pipeline": [{**prod, "pipeline": uuid} for uuid in ("copied", one, "slow_report")],
        "list_secrets": [prod],
        "update_cluster_env_vars": [
            {**prod, **secret_value, "dry_run": True},
            {**prod, **secret_value, "wait_s": 10},
            {**prod, "set_from": {"NEW_ONE": "MAGE_MCP_SECRET_NEW", "AGAIN": "MAGE_MCP_SECRET_NEW"}},
            *({**prod, "set_from": {"NEW_ONE": source}} for source in (one, f"MAGE_MCP_SECRET_{one}", "PATH")),
            {**prod, "set": {"NEW_ONE": GIVEN}, "set_from": {"NEW_ONE": "MAGE_MCP_SECRET_NEW"}},
            {**prod, "set": {"AWS_SECRET_ACCESS_KEY": TOLD}},
            {**prod, "set": {"AWS_SECRET_ACCESS_KEY": TOLD}, "replace_references": True, "dry_run": True},
            {**prod, "unset": ["SENTRY_DSN", "NOT_THERE"]},
            {**prod, "unset": [one, f"PASSWORD={TOLD}"]},
            *({**prod, "set": wrong} for wrong in wrong_set),
            prod,
        ],
        "update_cluster_config": [
            {**prod, "patch": patch, "dry_run": True},
            {**prod, "patch": patch, "wait_s": 10},
            {**prod, "patch": {"notifications": None, "git": {"branch": one}}},
            {**prod, "patch": {"extraEnvs": [{"name": "MODE", "value": GIVEN}]}},
            *({**prod, "patch": wrong} for wrong in ({}, one, [one], {"status": one}, {one: one}, {"a": text.MASK})),
        ],
        "stop_cluster": [prod, prod, {**prod, "wait_s": 30}, *unknown],
        "start_cluster": [{**prod, "wait_s": 45}, {**prod, "replicas": 3}, {**prod, "replicas": one}],
        "restart_cluster": [{"cluster": "staging", "wait_s": 45}, {"cluster": "staging"}, {"cluster": one}],
    }


@pytest.mark.parametrize(
    ("mode", "way"), [("auto", "accept"), ("legacy", "accept"), ("legacy", "decline"), ("auto", "preview")]
)
async def test_nothing_secret_comes_out_of_any_tool_in_any_branch(
    mode: str, way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    async with stage(mode, way, tmp_path, monkeypatch) as on:
        cases = calls(on.cloud)
        offered = {tool.name for tool in (await on.client.list_tools()).tools}
        assert set(cases) == offered, "a tool without a case here would leak unseen"
        for tool, several in cases.items():
            for arguments in several:
                await on.agreed(tool, **arguments)
        if way == "accept":  # the others ask about changes only
            await look_at_every_view(on)
        on.heard += [repr(value) for mage in _mages(on) for value in (mage, *vars(mage).values())]
        told, planted = on.come_out(capsys), all_secrets(on.cloud)
    assert text.MASK in told["answers"]
    assert text.MASK in told["audit"]
    assert len(on.person.asked) > 3 or way == "preview"
    assert_nothing_leaks(told, planted)
    for bare in ("bare-value-1", "bare-value-2", "'bare'"):
        assert bare not in told["answers"], "a variable whose name tells is masked, also where it turns up again"


async def look_at_every_view(on: Stage, *, first_only: bool = False) -> None:
    """Resources, prompts and completions; those without a case here would leak unseen."""
    one = PLANTED["prod SNOWFLAKE_PASSWORD"]
    leaky = max(on.cloud.clusters["prod"].world.runs)
    names = {
        "cluster": ["prod", one],
        "pipeline": ["leaky_sync", one],
        "block": ["sync_accounts", one],
        "run_id": [str(leaky), one],
    }
    days = {"start": "2026-03-01", "end": "2026-03-02"}
    prompts = {
        "backfill_window": [
            {"pipeline": "leaky_sync", **days},
            *({"pipeline": "leaky_sync", **days, name: one} for name in ("pipeline", "start", "end", "interval")),
        ],
        "compare_env_vars": [{"cluster": "prod", "other": "staging"}, {"cluster": "prod", "other": one}],
        "diagnose_failure": [{"pipeline": "leaky_sync"}, {}, {"run": str(leaky)}, {"run": one}, {"pipeline": one}],
        "first_steps": [{}],
        "morning_report": [{}, {"hours": one}, {"clusters": one}, {"hours": "720", "clusters": "prod,staging"}],
        "review_pipeline": [{"pipeline": "leaky_sync"}, {"pipeline": one}],
        "rotate_secret": [{"cluster": "prod", "name": name} for name in ("SNOWFLAKE_PASSWORD", "NEW", one)],
        "safe_restart": [{"cluster": "prod"}, {"cluster": one}],
    }
    await on.hear(on.client.list_resources())
    templates = [each.uri_template for each in (await on.client.list_resource_templates()).resource_templates]
    assert len(templates) >= 7
    for template in templates:
        asked = re.findall(r"\{(\w+)\}", template)
        for wrong in (None,) if first_only else (None, *asked):
            values = {name: quote(names[name][name == wrong], safe="") for name in asked}
            await on.read(template.format(**values))
        for name in asked:
            await on.complete(template, name, "", cluster="prod", pipeline="leaky_sync")
            await on.complete(template, name, one, cluster=one, pipeline=one)
    await on.read("mage://clusters")
    assert {prompt.name for prompt in (await on.client.list_prompts()).prompts} == set(prompts)
    for name, several in prompts.items():
        for arguments in several[:1] if first_only else several:
            await on.prompt(name, arguments)


def _mages(on: Stage) -> list[Mage]:
    clusters = demo_clusters(URL)
    return [Mage(cluster, wire=on.wire) for cluster in clusters]


def _broken(everything: str) -> dict[str, Callable[[httpx.Request], httpx.Response]]:
    """All that can go wrong on the way, each with the secrets in its words."""

    def answers(status: int, body: Any, **headers: str) -> Callable[[httpx.Request], httpx.Response]:
        content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        return lambda request: httpx.Response(status, content=content, headers=headers, request=request)

    def raises(error: type[Exception]) -> Callable[[httpx.Request], httpx.Response]:
        def fail(request: httpx.Request) -> httpx.Response:
            raise error(f"at {everything} of {request.url}")

        return fail

    traceback = f"Traceback (most recent call last):\n  File x\nValueError: {everything}"
    crash = {"code": 500, "exception": f"it broke: {everything}", "message": traceback, "errors": [everything]}
    return {
        "a bug of ours": raises(KeyError),
        "no connection": raises(httpx.ConnectError),
        "no answer": raises(httpx.ReadTimeout),
        "hung up": raises(httpx.RemoteProtocolError),
        "a sentence": answers(200, {"error": f"it broke: {everything}"}),
        "an error": answers(200, {"error": {"code": 400, "message": everything, "type": everything}}),
        "an exception": answers(200, {"error": crash}),
        "an exception, told": answers(500, {"error": crash}),
        "no role": answers(403, {"error": {"code": 403, "message": everything}}),
        "a page": answers(200, f"<html>{everything}</html>"),
        "a gateway": answers(503, f"<html>{everything}</html>"),
        "a redirect": answers(302, "", Location=f"http://x/?token={everything}"),
        "half a JSON": answers(200, f'{{"pipelines": "{everything}'),
        "other JSON": answers(
            200, {"cluster": everything, "pipelines": [everything], "pipeline_run": {"id": everything}}
        ),
    }


@pytest.mark.parametrize("mode", list(ERAS))
async def test_nothing_secret_comes_out_of_what_breaks(
    mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    async with stage(mode, "accept", tmp_path, monkeypatch) as on:
        everything = known_secrets(on.cloud)
        cases = calls(on.cloud)
        for breaks in _broken(everything).values():
            on.wire.breaks = breaks
            for tool, several in cases.items():
                await on.call(tool, **several[0])
            if mode == "auto":
                await look_at_every_view(on, first_only=True)
        on.wire.breaks = None
        assert (await on.call("list_pipelines", cluster="prod"))["total"] > 50
        told, planted = on.come_out(capsys), all_secrets(on.cloud)
    assert "KeyError" in told["stderr"], "the log tells of a bug"
    assert_nothing_leaks(told, planted)


@pytest.mark.parametrize("switches", [Switches(echoes=True), Switches(echoes=True, text_errors=True, http_errors=True)])
@pytest.mark.parametrize("user", ["viewer", "nobody"])
async def test_a_cloud_that_repeats_what_was_sent_gives_nothing_away(
    switches: Switches, user: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    async with stage("auto", "accept", tmp_path, monkeypatch, switches=switches) as on:
        on.cloud.users["admin@demo.invalid"] = replace(on.cloud.users["admin@demo.invalid"], role="viewer")
        if user == "nobody":
            on.cloud.users.clear()
            on.cloud.expire_sessions()
        cases = calls(on.cloud)
        for tool in (name for name in cases if "cluster" in name):
            for arguments in cases[tool]:
                await on.agreed(tool, **arguments)
        told, planted = on.come_out(capsys), all_secrets(on.cloud)
    assert_nothing_leaks(told, planted)


async def test_audit_lines_on_stderr_hold_no_secret_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    cloud = CloudWorld()
    settings = Settings(clusters=demo_clusters(URL), read_only=True)
    async with Client(build_server(settings, wire=Wire(cloud), clock=clock_of(cloud))) as client:
        for arguments in (
            {"cluster": "prod", "set": {"MODE": GIVEN, f"PASSWORD={GIVEN}": GIVEN}, "unset": [f"X={GIVEN}"]},
            {"cluster": f"password={GIVEN}", "set": GIVEN, "set_from": {"A": GIVEN[:0]}},
            {"patch": {"extraEnvs": [{"name": "MODE", "value": GIVEN}]}, f"token={GIVEN}": 1},
        ):
            result = await client.call_tool("update_cluster_env_vars", arguments)
            assert result.is_error
    written = capsys.readouterr().err
    assert written.count('"audit"') == 6
    assert GIVEN not in written


@pytest.mark.parametrize("way", ["accept", "preview"])
async def test_what_a_protected_cluster_asks_about_shows_no_secret_argument(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    one = PLANTED["prod SNOWFLAKE_PASSWORD"]
    async with stage("auto", way, tmp_path, monkeypatch, protected=True) as on:
        variables = {"db_password": TOLD, "credentials": {"user": [TOLD]}, "region": one, "note": f"token={TOLD}"}
        await on.agreed("trigger_pipeline", cluster="prod", pipeline="sales_daily", variables=variables)
        await on.agreed("start_cluster", cluster="prod")
        await on.agreed("update_cluster_env_vars", cluster="prod", set={"A": GIVEN}, unset=[f"X={GIVEN}"], dry_run=True)
        patch = {"apiKey": TOLD, "url": f"http://u:{TOLD}@x"}
        await on.agreed("update_cluster_config", cluster="prod", patch=patch, dry_run=True)
        told, planted = on.come_out(capsys), all_secrets(on.cloud)
        asked = told["questions"] if way == "accept" else told["answers"]
    assert "trigger_pipeline(pipeline='sales_daily', variables={'db_password': '•••'" in asked
    assert_nothing_leaks(told, planted)


def test_reprs_show_nothing():
    secret = SecretStr("planted-9Kd")
    for cluster in demo_clusters(URL):
        full = cluster.model_copy(
            update=dict.fromkeys(("password", "token", "api_key", "cloud_password", "cloud_api_key"), secret)
            | {"headers": {"X": secret}}
        )
        state: Any = None
        for value in (full, Settings(clusters=(full,)), Mage(full), Saved(state, 1, {"a": "planted-9Kd"}, None)):
            assert "planted" not in repr(value)
            assert "planted" not in str(value)


@pytest.mark.slow
def test_a_process_of_its_own_writes_no_secret_to_stderr(tmp_path: Path):
    """Over real pipes, at the level that logs most: a broken line, wrong calls, a crash of the settings."""
    secret = "planted-Pr0cess-secret"
    environment = {
        "MAGE_URL": "http://127.0.0.1:9",
        "MAGE_EMAIL": "a@example.com",
        "MAGE_PASSWORD": secret,
        "MAGE_LOG_LEVEL": "DEBUG",
        "MAGE_MCP_STATE_DIR": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path),
    }
    client = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    sent: list[Any] = [
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": client},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": secret, "arguments": {secret: secret}}},
        {"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {"name": "list_pipelines", "arguments": {}}},
        {
            "jsonrpc": "2.0",
            "id": 4,
            "method": "tools/call",
            "params": {"name": "get_run", "arguments": {"run": secret}},
        },
        {"jsonrpc": "2.0", "id": 5, "method": secret},
    ]
    lines = "\n".join(
        [*map(json.dumps, sent), f'{{"jsonrpc": "2.0", "method": "{secret}', f'{{"set": "{secret}"}}', ""]
    )
    done = subprocess.run(
        [sys.executable, "-m", "mage_mcp"],
        input=lines,
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
        check=False,
    )
    assert secret not in done.stderr
    assert secret not in done.stdout
    assert '"id":3' in done.stdout

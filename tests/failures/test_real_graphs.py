"""Graphs and code of pipelines with callbacks and dynamic blocks, on the real Mage."""

import pytest

from tests.failures.kinds import KINDS
from tests.host import Host
from tests.lab.failing import FailedRuns

pytestmark = [pytest.mark.anyio, pytest.mark.real]
BASE = "mage://clusters/default/pipelines"


async def test_a_callback_is_drawn_and_its_code_is_read(failures_host: Host, real_failures: FailedRuns):
    pipeline = KINDS["callback_raises"].pipeline.uuid
    lines = (await failures_host.read(f"{BASE}/{pipeline}/graph")).text.splitlines()
    (callback,) = [line for line in lines if "raising_failure_callback" in line]
    (parent,) = [line for line in lines if '"callback_parent<br/>' in line]
    assert parent.endswith(":::failed")
    assert f"  {parent.split('[')[0].strip()} -. calls .-> {callback.split('(')[0].strip()}" in lines
    code = await failures_host.read(f"{BASE}/{pipeline}/blocks/raising_failure_callback")
    assert code.mime_type == "text/x-python"
    assert "the failure callback gives up" in code.text


async def test_a_dynamic_block_is_one_node_in_the_state_of_its_worst_child(
    failures_host: Host, real_failures: FailedRuns
):
    run = real_failures.runs["dynamic_child"]
    (child,) = {
        each["block"] for each in (await failures_host.read_json(f"mage://clusters/default/runs/{run}"))["failures"]
    }
    parent = child.partition(":")[0]
    assert parent != child
    pipeline = KINDS["dynamic_child"].pipeline.uuid
    lines = (await failures_host.read(f"{BASE}/{pipeline}/graph")).text.splitlines()
    (node,) = [line for line in lines if f'"{parent}<br/>' in line]
    assert node.endswith(":::failed")
    escaped = child.replace(":", "%3A")
    assert (await failures_host.read(f"{BASE}/{pipeline}/blocks/{escaped}")).text == (
        await failures_host.read(f"{BASE}/{pipeline}/blocks/{parent}")
    ).text

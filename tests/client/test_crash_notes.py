"""A crash of ours after something was started still says what was started."""

import pytest
from mcp import Client

from mage_mcp.client.runs.reporting import RunReporter
from mage_mcp.demo.world import World
from tests.conftest import demo_server
from tests.host import Host, Person

pytestmark = pytest.mark.anyio


async def test_a_crash_while_a_new_run_is_explained_names_the_run(
    world: World, era: str, monkeypatch: pytest.MonkeyPatch
):
    async def crash(*_: object, **__: object) -> None:
        raise KeyError("secret detail")

    monkeypatch.setattr(RunReporter, "explain", crash)
    async with Client(demo_server(world), mode=era) as client:
        sentence = await Host(client, Person()).refused("trigger_pipeline", pipeline="sales_daily")
    newest = max(world.runs)
    assert f"Run {newest} was started." in sentence
    assert "secret detail" not in sentence

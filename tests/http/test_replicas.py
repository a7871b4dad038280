"""Two replicas behind a round-robin proxy: what one asks the other may be answered, and nothing happens twice."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from mcp import MCPError

from mage_mcp.http.secret_files import new_key
from tests.host import Host, Person
from tests.http.running import ALICE, BOB, Proxy, Served, host_at, proxy_before, serving_http, token_file
from tests.served import ServedCloud, serving

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
OLD, NEW = new_key(), new_key()


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[ServedCloud]:
    with serving(tmp_path) as served:
        yield served


@asynccontextmanager
async def replicas(cloud: ServedCloud, *keys: tuple[str, ...]) -> AsyncIterator[tuple[Proxy, list[Served]]]:
    """One replica for each of `keys`, over the same Cloud, with nothing in common but the keys; and the proxy."""
    tokens = token_file(cloud.folder, f"alice: {ALICE}", f"bob: {BOB}")
    async with AsyncExitStack() as stack:
        servers: list[Served] = []
        for number, lines in enumerate(keys):
            folder = cloud.folder / f"replica-{number}"
            folder.mkdir()
            shared = folder / "keys"
            shared.write_text("\n".join(lines), encoding="utf-8")
            shared.chmod(0o600)
            options = ["--token-file", str(tokens), "--keys-file", str(shared), "--config", str(cloud.config)]
            servers.append(await stack.enter_async_context(serving_http(folder, *options)))
        proxy = await stack.enter_async_context(proxy_before([server.url for server in servers]))
        yield proxy, servers


async def prepared(host: Host) -> None:
    """The schemas are known, so that from now on a call is one request."""
    await host.call("list_clusters")


def stops(cloud: ServedCloud) -> list[str]:
    return [put["cluster"] for put in cloud.puts() if put["body"]["cluster"]["status"] == "Stopped"]


async def test_a_question_of_one_replica_is_answered_at_the_other_and_the_cluster_stops_once(cloud: ServedCloud):
    person = Person()
    async with (
        replicas(cloud, (OLD,), (OLD,)) as (proxy, servers),
        host_at(proxy.url, "auto", person, token=ALICE) as host,
    ):
        await prepared(host)
        answer = (await host.call("stop_cluster", cluster="prod")).data
        assert answer["changed"] is True
        asked, answered = proxy.tools("stop_cluster")
        assert asked != answered
        assert len(person.asked) == 1
        assert stops(cloud) == ["prod"]
        assert servers[asked].audit() == []
        before, after = servers[answered].audit()
        assert (before["tool"], before["caller"], after["caller"]) == ("stop_cluster", "alice", "alice")
        assert after["outcome"] == "changed"


@pytest.mark.parametrize("keys", [((OLD,), (OLD,)), ((OLD, NEW), (NEW, OLD))], ids=["same", "rotating"])
async def test_a_code_of_one_replica_is_good_at_the_other_and_the_cluster_stops_once(
    cloud: ServedCloud, era: str, keys: tuple[tuple[str, ...], ...]
):
    async with replicas(cloud, *keys) as (proxy, _), host_at(proxy.url, era, token=ALICE) as host:
        await prepared(host)
        told = (await host.call("stop_cluster", cluster="prod")).data
        assert told["changed"] is False
        assert stops(cloud) == []
        code = told["confirm"]
        assert (await host.call("stop_cluster", cluster="prod", confirm=code)).data["changed"] is True
        previewed, done = proxy.tools("stop_cluster")
        assert previewed != done
        assert stops(cloud) == ["prod"]
        # The other replica does not know that the code was used. The world does: nothing is left to stop.
        for _ in range(3):
            again = (await host.call("stop_cluster", cluster="prod", confirm=code)).data
            assert again["changed"] is False
        assert set(proxy.tools("stop_cluster")[2:]) == {0, 1}
        assert stops(cloud) == ["prod"]


async def test_an_old_client_with_a_person_at_it_is_served_by_preview_and_code(cloud: ServedCloud):
    """Without sessions a question could not come back to the replica that asks it."""
    person = Person()
    async with (
        replicas(cloud, (OLD,), (OLD,)) as (proxy, _),
        host_at(proxy.url, "legacy", person, token=ALICE) as host,
    ):
        await prepared(host)
        code = (await host.call("stop_cluster", cluster="prod")).data["confirm"]
        assert (await host.call("stop_cluster", cluster="prod", confirm=code)).data["changed"] is True
    assert person.asked == []
    assert stops(cloud) == ["prod"]


async def test_during_a_rotation_questions_pass_both_ways(cloud: ServedCloud):
    async with (
        replicas(cloud, (OLD, NEW), (NEW, OLD)) as (proxy, _),
        host_at(proxy.url, "auto", Person(), token=ALICE) as host,
    ):
        await prepared(host)
        assert (await host.call("stop_cluster", cluster="prod")).data["changed"] is True
        await prepared(host)
        assert (await host.call("stop_cluster", cluster="staging")).data["changed"] is True
        asked = proxy.tools("stop_cluster")
        assert asked[0] != asked[1]
        assert asked[0] != asked[2] != asked[3]
    assert stops(cloud) == ["prod", "staging"]


async def test_replicas_with_different_keys_act_on_nothing_of_each_other(cloud: ServedCloud, era: str):
    async with replicas(cloud, (OLD,), (NEW,)) as (proxy, _):
        async with host_at(proxy.url, era, token=ALICE) as host:
            await prepared(host)
            code = (await host.call("stop_cluster", cluster="prod")).data["confirm"]
            told = (await host.call("stop_cluster", cluster="prod", confirm=code)).data
            assert told["changed"] is False
            assert "made for something else" in told["note"]
        if era == "auto":
            async with host_at(proxy.url, era, Person(), token=ALICE) as host:
                await prepared(host)
                with pytest.raises(MCPError, match="Invalid or expired requestState"):
                    await host.call("stop_cluster", cluster="prod")
    assert stops(cloud) == []


async def test_what_was_previewed_for_one_caller_is_no_code_for_another(cloud: ServedCloud, era: str):
    async with (
        replicas(cloud, (OLD,), (OLD,)) as (proxy, _),
        host_at(proxy.url, era, token=ALICE) as alice,
        host_at(proxy.url, era, token=BOB) as bob,
    ):
        code = (await alice.call("stop_cluster", cluster="prod")).data["confirm"]
        for _ in range(2):
            assert (await bob.call("stop_cluster", cluster="prod", confirm=code)).data["changed"] is False
        assert stops(cloud) == []
        assert (await alice.call("stop_cluster", cluster="prod", confirm=code)).data["changed"] is True
    assert stops(cloud) == ["prod"]

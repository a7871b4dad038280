"""Facts about blocks that the product relies on when it writes, checked on a real Mage."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.lab.facts import Facts
from tests.lab.wire import Refused, Wire

pytestmark = pytest.mark.real
_numbers = count(1)


class Bench:
    """A pipeline of this test alone."""

    def __init__(self, facts: Facts, uuid: str) -> None:
        self.wire, self.uuid = facts.wire, uuid
        self.url = facts.url
        self.project = facts.scratch.parent / "demo_project"
        self.wire.post("/api/pipelines", {"pipeline": {"name": uuid, "type": "python"}})

    def path(self, block: str) -> str:
        return f"/api/pipelines/{self.uuid}/blocks/{quote(block, safe='')}"

    def create(self, name: str, type_: str = "custom", **more: Any) -> dict[str, Any]:
        body = {"block": {"name": name, "type": type_, "language": "python", **more}}
        block: dict[str, Any] = self.wire.post(f"/api/pipelines/{self.uuid}/blocks", body)["block"]
        return block

    def update(self, block: str, **fields: Any) -> None:
        self.wire.put(self.path(block), {"block": fields})

    def block(self, uuid: str) -> dict[str, Any]:
        block: dict[str, Any] = self.wire.get(self.path(uuid))["block"]
        return block

    def edges(self) -> dict[str, list[str]]:
        blocks = self.wire.get(f"/api/pipelines/{self.uuid}")["pipeline"]["blocks"]
        return {block["uuid"]: block["upstream_blocks"] for block in blocks}

    def listed(self, block: str) -> set[str]:
        """The pipelines that have a block, as the list says."""
        rows = self.wire.get("/api/pipelines")["pipelines"]
        return {row["uuid"] for row in rows for each in row["blocks"] if each["uuid"] == block}

    def indexed(self, block: str) -> set[str]:
        """The same as the index says, which this pipeline's detail shows for its own blocks."""
        blocks = self.wire.get(f"/api/pipelines/{self.uuid}", include_block_pipelines="true")["pipeline"]["blocks"]
        (found,) = (each for each in blocks if each["uuid"] == block)
        return {row["pipeline"]["uuid"] for row in found["pipelines"]}


@pytest.fixture
def bench(facts: Facts) -> Iterator[Bench]:
    bench = Bench(facts, f"fact_blocks_{next(_numbers)}")
    yield bench
    bench.wire.delete(f"/api/pipelines/{bench.uuid}")


@pytest.mark.parametrize(
    ("type_", "language", "file"),
    [
        ("data_loader", "python", "data_loaders/{}.py"),
        ("transformer", "sql", "transformers/{}.sql"),
        ("data_exporter", "yaml", "data_exporters/{}.yaml"),
        ("data_loader", "r", "data_loaders/{}.r"),
        ("sensor", "python", "sensors/{}.py"),
        ("custom", "python", "custom/{}.py"),
        ("scratchpad", "python", "scratchpads/{}.py"),
        ("markdown", "markdown", "markdowns/{}.md"),
    ],
)
def test_a_blocks_file_follows_from_its_type_name_and_language(
    bench: Bench, type_: str, language: str, file: str
) -> None:
    uuid = f"filed/{type_}_{language}"
    bench.create(uuid, type_, language=language, content="text\n")
    assert (bench.project / file.format(uuid)).read_text() == "text\n"
    assert bench.block(uuid)["configuration"] == {}


@pytest.mark.parametrize(
    ("name", "uuid"),
    [
        ("My Block (2)", "my_block__2_"),
        ("2 x é", "letter_2_x_é"),
        ("Staging/2 Load.x", "staging/2_load_x"),
    ],
)
def test_a_blocks_uuid_follows_from_its_name(bench: Bench, name: str, uuid: str) -> None:
    block = bench.create(name)
    assert (block["uuid"], block["name"]) == (uuid, name)


def test_a_new_block_may_be_filled_by_a_template_of_another_type_and_yaml_by_python(bench: Bench) -> None:
    config = {"template_path": "data_loaders/mongodb.py"}
    assert "MongoDB" in bench.create("templated", "transformer", config=config)["content"]
    with pytest.raises(Refused, match="not found in search path"):
        bench.create("no_template", "transformer", config={"template_path": "transformers/nothing.py"})
    assert bench.create("no_text", "data_loader", language="yaml")["content"].startswith("if 'data_loader' not in")
    assert bench.create("no_query", "data_loader", language="sql")["content"] == ""


def test_a_bad_type_or_language_is_refused_and_a_bad_type_leaves_a_folder(bench: Bench) -> None:
    with pytest.raises(Refused, match="not callable"):
        bench.create("badly_typed", "nonsense")
    assert (bench.project / "nonsenses" / "__init__.py").exists()
    with pytest.raises(Refused, match="cobol"):
        bench.create("badly_spoken", language="cobol")
    assert bench.edges() == {}


def test_a_file_that_exists_is_shared_and_content_overwrites_it(bench: Bench, facts: Facts) -> None:
    other = Bench(facts, f"{bench.uuid}_other")
    bench.create("fact_shared", content="first = 1\n")
    assert other.create("fact_shared", content="")["content"] == "first = 1\n"
    other.wire.delete(other.path("fact_shared"))
    other.create("fact_shared", content="second = 2\n")
    assert bench.block("fact_shared")["content"] == "second = 2\n"


def test_a_name_that_the_pipeline_has_is_refused_but_may_leave_a_file(bench: Bench) -> None:
    bench.create("fact_twice", "sensor")
    with pytest.raises(Refused, match="ERR_BLOCK_EXISTS"):
        bench.create("fact_twice", "sensor")
    with pytest.raises(Refused, match="already exists in pipeline"):
        bench.create("fact_twice", "transformer", content="x = 1\n")
    assert (bench.project / "transformers" / "fact_twice.py").exists()


@pytest.mark.parametrize("named", [{"file_path": "utils/fact_x.py"}, {"file_source": {"path": "utils/fact_x.py"}}])
def test_a_file_named_in_the_configuration_breaks_the_new_block(bench: Bench, named: dict[str, Any]) -> None:
    with pytest.raises(Refused, match="does not exist at"):
        bench.create(f"elsewhere_{bench.uuid}", configuration=named, content="x = 1\n")
    assert list(bench.edges()) == [f"elsewhere_{bench.uuid}"]


def test_content_in_an_update_is_ignored(bench: Bench) -> None:
    bench.create("fact_ignored", content="x = 1\n")
    bench.update("fact_ignored", content="x = 2\n")
    assert bench.block("fact_ignored")["content"] == "x = 1\n"


def test_unknown_upstream_blocks_are_dropped_and_cut_the_edges_there_were(bench: Bench) -> None:
    bench.create("a")
    bench.create("b")
    assert bench.create("c", upstream_blocks=["a", "nothing", "b"])["upstream_blocks"] == ["a", "b"]
    bench.update("c", upstream_blocks=["a", "nothing"])
    assert bench.edges() == {"a": [], "b": [], "c": ["a"]}


def test_upstream_blocks_are_set_in_their_order_but_another_order_alone_is_no_change(bench: Bench) -> None:
    for name in "abcd":
        bench.create(name)
    bench.update("d", upstream_blocks=["c", "a"])
    assert bench.edges()["d"] == ["c", "a"]
    bench.update("d", upstream_blocks=["a", "c"])
    assert bench.edges()["d"] == ["c", "a"]
    # So it takes two: with another set in between.
    bench.update("d", upstream_blocks=["a"])
    bench.update("d", upstream_blocks=["a", "c"])
    assert bench.edges()["d"] == ["a", "c"]
    assert bench.block("a")["downstream_blocks"] == ["d"]


def test_a_cycle_is_refused_and_not_stored(bench: Bench) -> None:
    bench.create("a")
    bench.create("b", upstream_blocks=["a"])
    for block, upstream in (("a", ["b"]), ("a", ["a"])):
        with pytest.raises(Refused, match="A cycle was formed"):
            bench.update(block, upstream_blocks=upstream)
    assert bench.edges() == {"a": [], "b": ["a"]}


def test_a_configuration_is_replaced_whole(bench: Bench) -> None:
    bench.create("a", configuration={"limit": 5, "nested": {"x": 1}})
    bench.update("a", configuration={"nested": {"y": 2}})
    assert bench.block("a")["configuration"] == {"nested": {"y": 2}}


def test_a_block_that_others_wait_for_is_not_deleted_and_a_file_stays(bench: Bench) -> None:
    bench.create("fact_first", content="x = 1\n")
    bench.create("fact_last", upstream_blocks=["fact_first"])
    with pytest.raises(Refused, match="depending on block fact_first"):
        bench.wire.delete(bench.path("fact_first"))
    for block in ("fact_last", "fact_first"):
        bench.wire.delete(bench.path(block))
    assert bench.edges() == {}
    assert (bench.project / "custom" / "fact_first.py").read_text() == "x = 1\n"


@pytest.mark.parametrize(
    ("type_", "language", "file"), [("scratchpad", "python", "py"), ("markdown", "markdown", "md")]
)
def test_of_some_types_the_file_goes_with_the_block(bench: Bench, type_: str, language: str, file: str) -> None:
    bench.create("fact_note", type_, language=language, content="text\n")
    assert (bench.project / f"{type_}s" / f"fact_note.{file}").exists()
    bench.wire.delete(bench.path("fact_note"))
    assert not (bench.project / f"{type_}s" / f"fact_note.{file}").exists()


def test_replicas_have_the_code_of_their_original_and_are_deleted_with_it(bench: Bench) -> None:
    bench.create("fact_original", content="x = 1\n")
    bench.create("fact_replica", replicated_block="fact_original")
    blocks = bench.wire.get(f"/api/pipelines/{bench.uuid}", includes_content="true")["pipeline"]["blocks"]
    replica = next(block for block in blocks if block["uuid"] == "fact_replica")
    assert (replica["replicated_block"], replica["content"]) == ("fact_original", "x = 1\n")
    assert not (bench.project / "custom" / "fact_replica.py").exists()
    bench.wire.delete(bench.path("fact_original"))
    assert bench.edges() == {}


def test_conditionals_are_no_blocks_of_that_path(facts: Facts) -> None:
    with pytest.raises(Refused, match="does not exist in pipeline"):
        facts.wire.get("/api/pipelines/guarded_export/blocks/has_rows")


def test_the_list_misses_blocks_that_were_added_or_removed_and_the_index_does_not(bench: Bench) -> None:
    bench.create("load_events", "data_loader")
    assert bench.listed("load_events") == {"customer_360"}
    assert bench.indexed("load_events") == {"customer_360", bench.uuid}
    # Writing the pipeline itself brings its row up to date.
    bench.wire.put(f"/api/pipelines/{bench.uuid}", {"pipeline": {"description": "written"}})
    assert bench.listed("load_events") == {"customer_360", bench.uuid}
    bench.wire.delete(bench.path("load_events"))
    assert bench.listed("load_events") == {"customer_360", bench.uuid}
    bench.create("load_customers", "data_loader")
    bench.wire.delete(bench.path("load_customers"))
    bench.create("load_events", "data_loader")
    assert bench.indexed("load_events") == {"customer_360", bench.uuid}


def test_the_index_misses_pipelines_that_were_added_on_disk_and_the_list_does_not(bench: Bench) -> None:
    bench.create("fact_on_disk", "data_loader")
    bench.wire.put(f"/api/pipelines/{bench.uuid}", {"pipeline": {"description": "written"}})
    folder = bench.project / "pipelines"
    copied = f"{bench.uuid}_copied"
    (folder / copied).mkdir()
    text = (folder / bench.uuid / "metadata.yaml").read_text().replace(bench.uuid, copied)
    (folder / copied / "metadata.yaml").write_text(text)
    assert bench.listed("fact_on_disk") == {bench.uuid, copied}
    assert bench.indexed("fact_on_disk") == {bench.uuid}
    bench.wire.delete(f"/api/pipelines/{copied}")


def test_of_many_blocks_made_at_once_most_are_lost(bench: Bench) -> None:
    def create(number: int) -> bool:
        with Wire(bench.url) as wire:
            body = {
                "block": {"name": f"fact_rush_{number}", "type": "custom", "language": "python", "content": "x = 1\n"}
            }
            try:
                wire.post(f"/api/pipelines/{bench.uuid}/blocks", body)
            except Refused:
                return False
        return True

    with ThreadPoolExecutor(20) as pool:
        told = sum(pool.map(create, range(20)))
    assert len(bench.edges()) < 20
    assert told < 20
    for left in Path(bench.project / "custom").glob("fact_rush_*"):
        left.unlink()

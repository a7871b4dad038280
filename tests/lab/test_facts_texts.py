"""Facts about text files of the project that the product relies on, checked on a real Mage."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.lab.facts import Facts
from tests.lab.wire import Refused

pytestmark = pytest.mark.real


def _path(path: str) -> str:
    return f"/api/file_contents/{quote(path, safe='')}"


@pytest.fixture
def project(facts: Facts) -> Path:
    return facts.scratch.parent / "demo_project"


@pytest.fixture
def read(facts: Facts) -> Callable[[str], dict[str, Any]]:
    return lambda path: facts.wire.get(_path(path))["file_content"]


@pytest.fixture
def write(facts: Facts) -> Callable[[str, Any], dict[str, Any]]:
    return lambda path, content: facts.wire.put(_path(path), {"file_content": {"content": content}})["file_content"]


def test_only_a_file_has_a_size(project: Path, read: Any) -> None:
    (project / "fact_empty.txt").write_text("")
    assert (read("fact_empty.txt")["size"], read("fact_empty.txt")["content"]) == (0, "")
    for nothing in ("fact_none.txt", "transformers", "fact_empty.txt/below"):
        assert (read(nothing)["size"], read(nothing)["content"]) == (None, "")


def test_what_is_no_utf8_reads_as_empty_with_a_size(project: Path, read: Any) -> None:
    (project / "fact_binary.dat").write_bytes(b"\xff\xfe\x00a")
    assert (read("fact_binary.dat")["size"], read("fact_binary.dat")["content"]) == (4, "")


def test_line_ends_are_read_as_newlines_and_written_as_sent(project: Path, read: Any, write: Any) -> None:
    (project / "fact_lines.txt").write_bytes(b"a\r\nb\rc\n")
    assert read("fact_lines.txt")["content"] == "a\nb\nc\n"
    answer = write("fact_lines.txt", "é\r\nb\n")
    assert (project / "fact_lines.txt").read_bytes() == "é\r\nb\n".encode()
    assert (answer["content"], answer["size"]) == ("é\nb\n", 6)


def test_a_write_makes_the_file_and_its_folders(project: Path, write: Any) -> None:
    write("demo_project/fact_new/below/one.py", "x = 1\n")
    assert (project / "fact_new/below/one.py").read_text() == "x = 1\n"


def test_a_write_keeps_the_new_text_as_a_version_and_not_the_former(project: Path, write: Any) -> None:
    (project / "fact_version.txt").write_text("former\n")
    write("fact_version.txt", "new\n")
    versions = list((project / ".file_versions" / "fact_version.txt").iterdir())
    assert {version.read_text() for version in versions} == {"new\n"}


def test_what_is_no_text_is_refused_and_empties_the_file(project: Path, write: Any) -> None:
    (project / "fact_lost.txt").write_text("former\n")
    with pytest.raises(Refused, match="must be str"):
        write("fact_lost.txt", 7)
    assert (project / "fact_lost.txt").read_text() == ""
    with pytest.raises(Refused, match="content or version"):
        write("fact_lost.txt", None)


def test_a_folder_is_not_written_to(write: Any) -> None:
    with pytest.raises(Refused, match="Is a directory"):
        write("transformers", "x")


def test_a_path_is_decoded_twice(project: Path, read: Any) -> None:
    """So a name with a percent sign may be another file than it seems: secrets of the project, for instance."""
    assert read("io_conf%69g.yaml")["content"] == (project / "io_config.yaml").read_text()


def test_without_the_project_in_front_any_file_will_do_whose_path_ends_so(project: Path, read: Any, write: Any) -> None:
    assert read("o_config.yaml")["content"] == (project / "io_config.yaml").read_text()
    (project / "utils").mkdir(exist_ok=True)
    (project / "utils" / "fact_taken.py").write_text("former\n")
    write("t_taken.py", "lost\n")
    assert (project / "utils" / "fact_taken.py").read_text() == "lost\n"
    with pytest.raises(Refused, match="Is a directory"):
        write("fact_nowhere.py", "x")


def test_with_the_project_in_front_a_path_is_what_it_says(facts: Facts, project: Path, read: Any, write: Any) -> None:
    status = facts.wire.get("/api/status")["statuses"][0]
    assert status["repo_path_root"] == str(project)
    assert read("demo_project/o_config.yaml")["size"] is None
    assert read("demo_project/o_config.yaml")["path"] == f"{project}/o_config.yaml"
    write("demo_project/fact_top.py", "x")
    assert (project / "fact_top.py").read_text() == "x"
    facts.wire.delete("/api/files/demo_project%2Ffact_top.py")
    assert not (project / "fact_top.py").exists()


def test_the_list_of_a_folder_is_refused_for_what_is_none(facts: Facts) -> None:
    def names(folder: str) -> set[str]:
        (found,) = facts.wire.get("/api/files", directory_path=folder)["files"]
        return {child["name"] for child in found["children"]}

    assert {"add_tax.py", "fail_once.py"} <= names("transformers")
    assert {"transformers", "metadata.yaml"} <= names("")
    for no_folder in ("transformer", "transformers/add_tax.py"):
        with pytest.raises(Refused, match="Directory must be inside"):
            names(no_folder)


def test_a_file_is_deleted_and_the_blocks_that_use_it_stay(facts: Facts, project: Path, write: Any) -> None:
    write("data_loaders/fact_deleted.py", "x = 1\n")
    body = {"block": {"name": "fact_deleted", "type": "data_loader", "language": "python"}}
    facts.wire.post("/api/pipelines/empty_pipeline/blocks", body)
    facts.wire.delete(f"/api/files/{quote('data_loaders/fact_deleted.py', safe='')}")
    assert not (project / "data_loaders/fact_deleted.py").exists()
    block = facts.wire.get("/api/pipelines/empty_pipeline/blocks/fact_deleted")["block"]
    assert block["content"] == ""
    facts.wire.delete("/api/pipelines/empty_pipeline/blocks/fact_deleted")
    for nothing in ("data_loaders%2Ffact_deleted.py", "transformers"):
        with pytest.raises(Refused, match="cannot be found"):
            facts.wire.delete(f"/api/files/{nothing}")

"""How the mage-mcp that runs is launched again."""

import sys
from pathlib import Path

import pytest

from mage_mcp.hosts.installation import Installation, Interpreter, installation

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the scripts are made as POSIX has them")


def program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def python(prefix: Path, *, search: Path | str = "", base: Path | None = None) -> Interpreter:
    return Interpreter(str(prefix / "bin" / "python"), prefix, base or Path("/usr"), prefix / "bin", str(search))


def test_a_tool_of_uv_is_started_by_the_link_that_its_updates_keep(tmp_path: Path):
    prefix = tmp_path / "uv" / "tools" / "mage-mcp"
    script = program(prefix / "bin" / "mage-mcp")
    (prefix / "uv-receipt.toml").touch()
    link = tmp_path / "bin" / "mage-mcp"
    link.parent.mkdir()
    link.symlink_to(script)
    assert installation(python(prefix, search=link.parent)) == Installation(str(link))
    assert installation(python(prefix, search=link.parent), by_name=True) == Installation("mage-mcp")
    assert installation(python(prefix)) == Installation(str(script))


def test_in_a_virtual_environment_its_script_and_a_word_on_how_long_that_lasts(tmp_path: Path):
    script = program(tmp_path / ".venv" / "bin" / "mage-mcp")
    found = installation(python(tmp_path / ".venv"), by_name=True)
    assert found.command == str(script)
    assert "uv tool install mage-mcp" in found.note


def test_another_mage_mcp_on_the_path_is_not_taken_for_this_one(tmp_path: Path):
    script = program(tmp_path / ".venv" / "bin" / "mage-mcp")
    other = program(tmp_path / "bin" / "mage-mcp")
    found = installation(python(tmp_path / ".venv", search=other.parent), by_name=True)
    assert found.command == str(script)


def test_without_a_script_the_interpreter_runs_the_package(tmp_path: Path):
    found = installation(python(tmp_path, base=tmp_path))
    assert found == Installation(str(tmp_path / "bin" / "python"), ("-m", "mage_mcp"))


def test_from_the_cache_of_uvx_the_entry_goes_through_uvx(tmp_path: Path):
    prefix = tmp_path / ".cache" / "uv" / "archive-v0" / "9aXb"
    program(prefix / "bin" / "mage-mcp")
    uvx = program(tmp_path / "bin" / "uvx")
    found = installation(python(prefix, search=uvx.parent))
    assert (found.command, found.args) == (str(uvx), ("mage-mcp",))
    assert "uv tool install" in found.note
    assert installation(python(prefix, search=uvx.parent), by_name=True).command == "uvx"


def test_from_the_cache_of_pipx_likewise(tmp_path: Path):
    found = installation(python(tmp_path / "pipx" / ".cache" / "d5e1"))
    assert (found.command, found.args) == ("pipx", ("run", "mage-mcp"))


def test_the_one_that_runs_these_tests_starts():
    found = installation(Interpreter.here())
    assert Path(found.command).is_absolute()
    assert Path(found.command).is_file()

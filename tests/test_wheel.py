"""What is published: it holds what it must and nothing else, and works where neither the checkout nor its tools are."""

import re
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest
from mcp import Client, StdioServerParameters
from mcp.types import TextContent

from tests.packaged import ROOT, scripts
from tests.test_prompts import AMONG_SEVERAL, MOST_BYTES

pytestmark = pytest.mark.slow
PROMPTS = {file.name for file in (ROOT / "prompts").glob("*.md")}
MODULES = {str(file.relative_to(ROOT)) for file in (ROOT / "mage_mcp").rglob("*") if file.suffix in {".py", ".typed"}}


def test_the_wheel_holds_the_package_the_prompts_and_the_license(built: Path):
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (metadata,) = (archive.read(name).decode() for name in names if name.endswith("/METADATA"))
    info = {name for name in names if ".dist-info/" in name}
    assert {name.split(".dist-info/")[1] for name in info} == {
        "METADATA",
        "RECORD",
        "WHEEL",
        "entry_points.txt",
        "licenses/LICENSE",
    }
    assert names - info == MODULES | {f"mage_mcp/_prompts/{name}" for name in PROMPTS}
    assert "# mage-mcp" in metadata  # the README
    links = re.findall(r"\]\((?!#)([^)]+)\)", metadata)
    assert links
    assert all(link.startswith("https://") for link in links)  # nothing stands beside it where it is read


def test_the_source_distribution_holds_what_the_wheel_is_built_from(built: Path):
    (source,) = built.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        names = {member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()}
    made = {".gitignore", "PKG-INFO", "pyproject.toml"}
    assert names == MODULES | made | {f"prompts/{name}" for name in PROMPTS} | {"CHANGELOG.md", "LICENSE", "README.md"}


@pytest.mark.anyio
async def test_an_installed_wheel_serves_all_prompts(installed: Path, era: str):
    nothing_of_ours = {"XDG_CONFIG_HOME": "/nonexistent", "MAGE_MCP_STATE_DIR": str(installed / "state")}
    command = StdioServerParameters(
        command=str(scripts(installed) / "mage-mcp"),
        args=["--demo", "--toolsets", "all"],
        env=nothing_of_ours,
        cwd=installed,
    )
    async with Client(command, mode=era) as client:
        listed = (await client.list_prompts()).prompts
        assert {each.name for each in listed} == set(AMONG_SEVERAL)
        for each in listed:
            (message,) = (await client.get_prompt(each.name, AMONG_SEVERAL[each.name])).messages
            assert isinstance(message.content, TextContent)
            assert 0 < len(message.content.text.encode()) <= MOST_BYTES


def test_the_checkout_is_not_what_the_installed_package_reads(installed: Path):
    python = scripts(installed) / "python"
    code = "import mage_mcp.prompts as p; print(p.folder()); import importlib.util as u; print(u.find_spec('pytest'))"
    done = subprocess.run([python, "-c", code], cwd=installed, capture_output=True, text=True, check=True)
    folder, pytest_there = done.stdout.split()
    assert Path(folder).is_relative_to(installed)
    assert pytest_there == "None"

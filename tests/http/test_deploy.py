"""The manifest and the Dockerfile: they name what there is, start what can be started, and ask for no rights."""

import fnmatch
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
import yaml

from mage_mcp import text
from mage_mcp.cli import _parser
from mage_mcp.http.gate import HEALTH
from mage_mcp.http.names import is_loopback
from mage_mcp.settings_load import load_settings
from tests.http.running import serving_http
from tests.packaged import uv

ROOT = Path(__file__).parents[2]
MANIFEST = (ROOT / "deploy" / "kubernetes.yaml").read_text(encoding="utf-8")
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")


@pytest.fixture(autouse=True)
def _no_secret_stays_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "_known", set())
    monkeypatch.setattr(text, "_known_pattern", None)


@pytest.fixture
def manifest() -> dict[str, Any]:
    return {document["kind"]: document for document in yaml.safe_load_all(MANIFEST)}


@pytest.fixture
def container(manifest: dict[str, Any]) -> dict[str, Any]:
    (container,) = manifest["Deployment"]["spec"]["template"]["spec"]["containers"]
    return container


def instructions(name: str) -> list[str]:
    return re.findall(rf"(?m)^\s*{name}\s+(.+)$", DOCKERFILE)


def test_the_manifest_runs_two_replicas_that_the_service_finds(manifest: dict[str, Any], container: dict[str, Any]):
    deployment, service = manifest["Deployment"]["spec"], manifest["Service"]["spec"]
    assert deployment["replicas"] == 2
    assert service["selector"] == deployment["selector"]["matchLabels"] == deployment["template"]["metadata"]["labels"]
    (port,), (served,) = service["ports"], container["ports"]
    assert port["targetPort"] == served["name"]
    for probe in ("readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"] == {"path": HEALTH, "port": served["name"]}


def test_the_manifest_s_arguments_are_options_and_its_files_are_mounted(
    manifest: dict[str, Any], container: dict[str, Any]
):
    given = _parser().parse_args(container["args"])
    assert given.http
    assert not given.no_auth
    assert given.allowed_hosts
    assert given.port == container["ports"][0]["containerPort"]
    pod = manifest["Deployment"]["spec"]["template"]["spec"]
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    made = re.search(r"secret generic (\S+) --from-file=(\S+) --from-file=(\S+)", MANIFEST)
    assert made
    for file in map(Path, (given.token_file, given.keys_file)):
        assert volumes[mounts[str(file.parent)]]["secret"]["secretName"] == made[1]
        assert file.name in made.groups()[1:]
    assert mounts[re.search(r"MAGE_MCP_STATE_DIR=(\S+)", DOCKERFILE)[1]] == "state"  # type: ignore[index]
    assert container["envFrom"][0]["secretRef"]["name"] in MANIFEST.partition("apiVersion")[0]


def test_the_manifest_s_login_is_one_that_is_understood():
    names = re.findall(r"--from-literal=(\w+)=", MANIFEST)
    settings = load_settings({}, {"MAGE_URL": "https://mage.example.com", "MAGE_EMAIL": "a@b.c", "MAGE_PASSWORD": "pw"})
    assert set(settings.sources.values()) == set(names) == {"MAGE_URL", "MAGE_EMAIL", "MAGE_PASSWORD"}


def test_the_manifest_asks_for_no_rights(manifest: dict[str, Any], container: dict[str, Any]):
    pod = manifest["Deployment"]["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    (user,) = instructions("USER")
    security = pod["securityContext"]
    assert user == f"{security['runAsUser']}:{security['runAsGroup']}" != "0:0"


def copied() -> list[str]:
    """What is copied from the checkout into the image."""
    lines = [line.split() for line in instructions("COPY") if not line.startswith("--from")]
    return [source for line in lines for source in line[:-1]]


def test_what_the_dockerfile_copies_is_there_and_not_ignored():
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert ignored[0] == "*"
    kept = {line[1:] for line in ignored if line.startswith("!")}
    assert kept == set(copied())
    assert all((ROOT / source).exists() for source in copied())
    assert any(fnmatch.fnmatch("mage_mcp/__pycache__", pattern) for pattern in ignored[1:])


def test_the_image_starts_as_the_command_line_has_it():
    (entry,), (command,) = instructions("ENTRYPOINT"), instructions(r"(?<!  )CMD")[-1:]
    assert json.loads(entry) == ["mage-mcp"]
    given = _parser().parse_args(json.loads(command))
    assert given.http
    assert not is_loopback(given.host)
    assert given.allowed_hosts
    assert given.token_file
    assert instructions("EXPOSE") == ["8080"]


@pytest.mark.slow
@pytest.mark.anyio
async def test_the_health_check_tells_whether_the_server_answers(tmp_path: Path):
    checks = re.findall(r"HEALTHCHECK.*?CMD (\[.+\])", DOCKERFILE)
    (program, *arguments) = json.loads(checks[0])
    assert program == "python"

    async def check(port: str) -> int:
        command = [sys.executable, *(part.replace(":8080/", f":{port}/") for part in arguments)]
        return (await anyio.run_process(command, check=False, stderr=subprocess.DEVNULL)).returncode

    async with serving_http(tmp_path, "--demo", "--no-auth") as server:
        port = server.base.rpartition(":")[2]
        assert await check(port) == 0
    assert await check(port) != 0


@pytest.mark.slow
def test_the_package_can_be_built_from_what_the_dockerfile_copies(tmp_path: Path):
    for source in copied():
        there = ROOT / source
        ignored = shutil.ignore_patterns("__pycache__")
        if there.is_dir():
            shutil.copytree(there, tmp_path / "src" / source, ignore=ignored)
        else:
            (tmp_path / "src").mkdir(exist_ok=True)
            shutil.copy(there, tmp_path / "src" / source)
    uv("build", "--wheel", "--out-dir", tmp_path / "dist", cwd=tmp_path / "src")
    assert len(list((tmp_path / "dist").glob("*.whl"))) == 1

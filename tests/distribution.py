"""What is published beside the wheel: `server.json` for the MCP registry, `mcpb/` for Claude Desktop.

`python -m tests.distribution` writes the package's version into both; with `--bundle FOLDER` it lays out what
`npx @anthropic-ai/mcpb pack FOLDER` packs. The tests look whether everything fits together.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any

from mage_mcp import __version__

ROOT = Path(__file__).parents[1]
REGISTRY, MANIFEST = ROOT / "server.json", ROOT / "mcpb" / "manifest.json"
BUNDLED = ("pyproject.toml", "README.md", "LICENSE", "mage_mcp", "prompts")


def read(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text(encoding="utf-8"))


def with_version(document: dict[str, Any]) -> dict[str, Any]:
    """The same, of the package's version wherever it holds one."""
    packages = [{**package, "version": __version__} for package in document.get("packages", ())]
    return {**document, "version": __version__} | ({"packages": packages} if packages else {})


def bundle(folder: Path) -> None:
    """Lay out the bundle in `folder`, which must not exist yet."""
    folder.mkdir(parents=True)
    shutil.copy(MANIFEST, folder)
    for name in BUNDLED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=Path, metavar="FOLDER", help="lay out the bundle there")
    arguments = parser.parse_args()
    for file in (REGISTRY, MANIFEST):
        text = json.dumps(with_version(read(file)), indent=2, ensure_ascii=False) + "\n"
        file.write_text(text, encoding="utf-8")
    if arguments.bundle:
        bundle(arguments.bundle)
    return 0


if __name__ == "__main__":
    sys.exit(main())

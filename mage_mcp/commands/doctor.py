"""`mage-mcp doctor`: check the settings, every cluster and this installation, and say what to mend."""

import argparse
import json
import sys

from mage_mcp.commands._options import add_settings_options, settings_from


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON object, the same from version to version")
    add_settings_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print what was found; 0 where all is well, 1 where something failed, 2 where the settings are wrong."""
    settings = settings_from(arguments)
    if settings is None:
        return 2
    import anyio

    from mage_mcp.credentials import Store
    from mage_mcp.doctor import Report, examine
    from mage_mcp.log_handler import set_up_logging

    set_up_logging("CRITICAL")  # what libraries would log stands in the report, in better words

    async def look() -> Report:
        if not settings.demo:
            return await examine(settings, store=Store())
        from mage_mcp.commands._demo import in_demo

        simulated, wire, clock = in_demo(settings)
        return await examine(simulated, wire=wire, clock=clock)

    report = anyio.run(look)
    _print(json.dumps(report.as_json(), indent=2) + "\n" if arguments.json else report.as_text())
    return 0 if report.ok else 1


def _print(text: str) -> None:
    """On any console: what its code page does not have becomes a question mark."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "replace").decode(encoding))
    sys.stdout.flush()

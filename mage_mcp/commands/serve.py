"""`mage-mcp`, and `mage-mcp serve`: the server itself."""

import argparse

from mage_mcp.commands._options import settings_from


def run(arguments: argparse.Namespace) -> int:
    """Serve stdio till standard input is closed."""
    settings = settings_from(arguments)
    if settings is None:
        return 2
    from mage_mcp.server import build_server

    if settings.demo:
        from mage_mcp.commands._demo import in_demo

        demo, wire = in_demo(settings)
        build_server(demo, wire=wire).run()
    else:
        build_server(settings, finish_on_sigterm=True).run()
    return 0

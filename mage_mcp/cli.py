"""The command line. Serves stdio by default, since that is what an MCP client's configuration launches."""

import argparse
import sys
from collections.abc import Sequence

from pydantic import SecretStr

from mage_mcp import __version__
from mage_mcp.errors import MageError
from mage_mcp.settings import TOOLSETS, Cluster, Settings
from mage_mcp.settings_load import load_settings

_EPILOG = f"""\
environment (flags win, save that read-only set anywhere holds):
  MAGE_URL         the Mage server, e.g. http://localhost:6789; a link copied from the browser will do
  MAGE_EMAIL, MAGE_PASSWORD      where the server asks for a login
  MAGE_TOKEN       or a ready session token, as JWT or raw
  MAGE_API_KEY     only where it is not Mage's own
  MAGE_TEAM_ID, MAGE_CLUSTER_ID  the cluster's place in Mage Cloud, to start and stop it and to change its variables
  MAGE_CLOUD_EMAIL, MAGE_CLOUD_PASSWORD      the login there
  MAGE_CONFIG      a file with several clusters; else config.toml in your user's config folder, if there is one
  MAGE_TOOLSETS    {",".join(TOOLSETS)} (the default: all of them)
  MAGE_READ_ONLY   true: offer and send nothing that changes anything
  MAGE_PROTECTED   true: ask a person before anything is changed, whatever MAGE_CONFIRM says
  MAGE_CONFIRM     ask (default): a person, or by preview and code where the client cannot ask;
                   person: refuse where no person can be asked; never: for unattended use
  MAGE_AUDIT       file for one JSON line before and after each change; to stderr if unset
  MAGE_LOG_LEVEL   DEBUG, INFO, WARNING (default) or ERROR, to stderr

try it without a Mage:
  mage-mcp --demo
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    arguments = _parser().parse_args(argv)
    if arguments.command == "demo":
        from mage_mcp.demo.serve import serve

        serve(arguments.serve)
        return 0
    flags = {name: getattr(arguments, name) for name in ("url", "config", "toolsets", "confirm", "audit", "log_level")}
    flags |= {name: getattr(arguments, name) or None for name in ("read_only", "protected", "demo")}
    try:
        settings = load_settings(flags)
    except MageError as error:
        print(f"mage-mcp: {error}", file=sys.stderr)
        return 2
    _serve_stdio(settings)
    return 0


def _serve_stdio(settings: Settings) -> None:
    from mage_mcp.server import build_server

    if not settings.demo:
        build_server(settings, finish_on_sigterm=True).run()
        return
    import httpx

    from mage_mcp.demo.cloud import CloudWorld
    from mage_mcp.demo.cloud_app import create_cloud_app

    demo = settings.model_copy(update={"clusters": demo_clusters("http://demo.mage.invalid")})
    build_server(demo, wire=httpx.ASGITransport(app=create_cloud_app(CloudWorld()))).run()


def demo_clusters(base: str) -> tuple[Cluster, ...]:
    """The two clusters of the simulated Cloud that is served at `base`."""
    from mage_mcp.demo.cloud import TEAM, USERS

    return tuple(
        Cluster(
            name=name,
            url=f"{base}/{name}",
            team_id=TEAM,
            cluster_id=f"cl-{name}",
            cloud_url=f"{base}/cloud/api/v1",
            cloud_email=USERS[0].email,
            cloud_password=SecretStr(USERS[0].password),
        )
        for name in ("prod", "staging")
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mage-mcp",
        description="MCP server for Mage. Without a command it serves stdio, as MCP clients launch it.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"mage-mcp {__version__}")
    parser.add_argument("--url", metavar="URL", help="the Mage server (MAGE_URL)")
    parser.add_argument("--config", metavar="FILE", help="several clusters, as [clusters.NAME] tables (MAGE_CONFIG)")
    parser.add_argument("--toolsets", metavar="NAMES", help="comma-separated, or all (MAGE_TOOLSETS)")
    parser.add_argument("--read-only", action="store_true", help="offer and send nothing that changes anything")
    parser.add_argument("--protected", action="store_true", help="ask a person before anything is changed")
    parser.add_argument("--audit", metavar="FILE", help="write audit lines there instead of to stderr (MAGE_AUDIT)")
    parser.add_argument("--confirm", choices=("ask", "person", "never"), help="who agrees to what destroys")
    parser.add_argument("--log-level", choices=("DEBUG", "INFO", "WARNING", "ERROR"), help="what goes to stderr")
    parser.add_argument("--demo", action="store_true", help="serve a simulated Mage: no account, no network")
    commands = parser.add_subparsers(dest="command", metavar="command")
    demo = commands.add_parser("demo", help="run the simulated Mage as a web server of its own")
    demo.add_argument("--serve", type=int, metavar="PORT", required=True, help="port on 127.0.0.1; 0 picks a free one")
    return parser

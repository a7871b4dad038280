"""`mage-mcp demo`: the simulated Mage as a web server of its own."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--serve", type=int, metavar="PORT", required=True, help="port on 127.0.0.1; 0 picks a free one"
    )


def run(arguments: argparse.Namespace) -> int:
    """Serve till the process is stopped."""
    from mage_mcp.demo.serve import serve

    serve(arguments.serve)
    return 0

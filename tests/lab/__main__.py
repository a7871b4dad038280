"""`python -m tests.lab [--auth] [--interval S]`: a seeded real Mage until Ctrl-C."""

import argparse
import time

from tests.lab.mage import INTERVAL_S
from tests.lab.seed import start_seeded


def main() -> None:
    """Start it, print where it is, wait."""
    parser = argparse.ArgumentParser(prog="python -m tests.lab", description=__doc__)
    parser.add_argument("--auth", action="store_true", help="ask for a login (admin@admin.com / admin)")
    parser.add_argument("--interval", type=float, default=INTERVAL_S, help="seconds between two looks of the scheduler")
    chosen = parser.parse_args()
    started = time.monotonic()
    with start_seeded(auth=chosen.auth, interval=chosen.interval) as mage:
        print(
            f"ready after {time.monotonic() - started:.1f} s\nproject {mage.project_dir}\nlog {mage.log}\n{mage.url}",
            flush=True,
        )
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            print("stopping")


if __name__ == "__main__":
    main()

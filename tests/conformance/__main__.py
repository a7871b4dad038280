"""Runs the suite and says how each scenario went; exits with 1 where one failed."""

import sys

from tests.conformance.suite import NEED_SESSIONS, SCENARIOS, SERVERS, run, served

failed = 0
for how in SERVERS:
    with served(how) as url:
        for wire, scenarios in SCENARIOS.items():
            for scenario in scenarios:
                if ((wire, scenario) in NEED_SESSIONS) is (how == "with sessions"):
                    outcome = run(url, wire, scenario)
                    failed += not outcome.passed
                    print(f"{'ok  ' if outcome.passed else 'FAIL'} {wire} {scenario}", flush=True)
                    if not outcome.passed:
                        print(outcome.said)
sys.exit(int(failed > 0))

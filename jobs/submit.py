"""The one application that spark-submit runs: submit.py JOB --start DATE --end DATE [--option KEY=VALUE ...].

Ends with 2 for what a retry cannot mend (bad input, a broken contract) and 1 for the rest, so that the
orchestrator retries only the second kind. The last line on standard error says what happened.
"""

from __future__ import annotations

import argparse
import sys
import traceback


def main(arguments: list[str] | None = None) -> int:
    """Run one job; the exit code is the outcome."""
    from jobs.job import JOBS, execute, message_of
    from lake import settings as settings_module
    from lake.console import say
    from lake.errors import AttuneError
    from lake.window import Window, parse_date

    parser = argparse.ArgumentParser(prog="submit.py")
    parser.add_argument("job", choices=sorted(JOBS))
    parser.add_argument("--start", required=True)
    parser.add_argument("--end", required=True)
    parser.add_argument("--option", action="append", default=[], metavar="KEY=VALUE")
    given = parser.parse_args(arguments)
    try:
        window = Window(parse_date(given.start), parse_date(given.end))
        options = dict(item.split("=", 1) for item in given.option)
        execute(given.job, window, settings_module.load(), options)
    except AttuneError as error:
        say(f"FAILED ({given.job}), a retry will not help: {error}")
        return error.exit_code
    except Exception as error:
        traceback.print_exc()
        say(f"FAILED ({given.job}), may be retried: {message_of(error)}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

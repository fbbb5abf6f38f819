"""What every command shares: one line for a user's mistake, honest exit statuses."""

import sys
from collections.abc import Callable, Sequence

from vlmcog.errors import Stopped, UserError

USER_ERROR_STATUS = 2
INTERRUPTED_STATUS = 130
STOPPED_STATUS = 75  # EX_TEMPFAIL of sysexits.h: try again


def run(main: Callable[[Sequence[str]], None]) -> None:
    """Runs `main(argv)` and exits; a bug keeps its traceback.

    The status is 0 where all is done, 2 for a user's mistake, 75 where SIGTERM ended it and it saved, 130 on Ctrl-C.
    """
    try:
        main(sys.argv[1:])
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(USER_ERROR_STATUS)
    except Stopped as stopped:
        print(f"stopped: {stopped}", file=sys.stderr)
        sys.exit(STOPPED_STATUS)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED_STATUS)

"""What every command shares: one line for a user's mistake, honest exit statuses."""

import sys
from collections.abc import Callable, Sequence

from vlmcog.errors import UserError

USER_ERROR_STATUS = 2
INTERRUPTED_STATUS = 130


def run(main: Callable[[Sequence[str]], None]) -> None:
    """Runs `main(argv)` and exits: 0 done, 2 a user's mistake, 130 interrupted; a bug keeps its traceback."""
    try:
        main(sys.argv[1:])
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(USER_ERROR_STATUS)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED_STATUS)

"""``python -m fts3_standin``: see ``--help``."""

import sys

if __name__ == "__main__":
    from .server import main

    sys.exit(main())

"""Ends with 0 if somebody holds a file of SQLite locked: `auditstream collect` does while it works.

holds_lock.py FILE
"""

import sqlite3
import sys
from contextlib import closing
from pathlib import Path


def held(path: Path) -> bool:
    """Whether it is there, and another process keeps everybody from writing it."""
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=0)) as database:
            database.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        return error.sqlite_errorcode == sqlite3.SQLITE_BUSY
    return False


if __name__ == "__main__":
    sys.exit(not held(Path(sys.argv[1])))

"""What happens to acknowledged rows when ADBC opens a SQLite file that this process writes.

python benchmarks/two_sqlites.py
"""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

COUNT = """
import sqlite3, sys
print(sqlite3.connect(sys.argv[1]).execute("select count(*) from t").fetchone()[0])
"""


def main() -> None:
    import adbc_driver_sqlite.dbapi as adbc

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "shop.db"
        writer = sqlite3.connect(path, isolation_level=None)
        writer.execute("pragma journal_mode = wal")
        writer.execute("pragma synchronous = full")
        writer.execute("create table t (x)")
        with adbc.connect(str(path)) as reader, reader.cursor() as cursor:
            cursor.execute("select count(*), sqlite_version() from t")
            _, bundled = cursor.fetchone()
        log = path.with_name("shop.db-wal")
        print(f"two SQLites here: {sqlite3.sqlite_version} (Python's), {bundled} (ADBC's)")
        print(f"the writer's log after the reader closed: {'there' if log.exists() else 'deleted'}")
        for n in range(5):
            writer.execute("insert into t values (?)", (n,))
        seen = subprocess.run(
            [sys.executable, "-c", COUNT, str(path)], capture_output=True, text=True, check=True
        )
        print(f"acknowledged to the writer: 5; found by another process: {seen.stdout.strip()}")


if __name__ == "__main__":
    main()

"""Reading PostgreSQL in bulk: columns come over the wire as columns, through ADBC."""

from __future__ import annotations

import adbc_driver_postgresql.dbapi as adbc
import pyarrow as pa

from habitue.errors import Unavailable

__all__ = ["table_of"]


def table_of(dsn: str, sql: str) -> pa.Table:
    """The rows of a query as an Arrow table, as PostgreSQL types them."""
    try:
        with adbc.connect(dsn) as connection, connection.cursor() as cursor:
            cursor.execute(sql)
            table: pa.Table = cursor.fetch_arrow_table()
            return table
    except adbc.Error as error:
        raise Unavailable(
            f"PostgreSQL: {str(error).strip().splitlines()[0]}.",
            remedy="Check that the server runs and can be reached.",
        ) from error

"""What Alembic runs: the revisions, on the connection that ``schema.migrate`` hands over."""

from __future__ import annotations

from alembic import context

from habitue.store.tables import METADATA

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=METADATA,
    render_as_batch=connection.dialect.name == "sqlite",  # SQLite alters a table by copying it
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()

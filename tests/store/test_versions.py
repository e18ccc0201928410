"""Which version of an item is the latest: the one stored last, wherever its row lies."""

from habitue.facts import Item


def test_the_latest_version_is_the_last_stored_wherever_it_lies(fresh_postgres_dsn: str) -> None:
    import psycopg

    from habitue.store.postgres import PostgresFactStore

    store = PostgresFactStore(fresh_postgres_dsn)
    for second, title in enumerate(("Old", "New")):
        store.append([Item(id="mug", title=title)], received_at_ms=second)
    with psycopg.connect(fresh_postgres_dsn) as connection:  # the older row moves to the end
        connection.execute("create temp table moved as select * from item order by seq limit 1")
        connection.execute("delete from item where seq in (select seq from moved)")
        connection.execute("insert into item select * from moved")
    again = store.append([Item(id="mug", title="New")], received_at_ms=2)
    store.close()
    assert (again.new, again.duplicate) == (0, 1)

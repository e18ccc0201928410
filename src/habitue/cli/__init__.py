"""The command line: translate words into calls of ``habitue.app.Shop``, and answers into words.

Heavy libraries are imported by the commands that use them, so that ``habitue --help`` is quick.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from habitue.cli.keys import keys
from habitue.cli.messages import messages
from habitue.cli.options import Json, SettingsFile, Store
from habitue.errors import HabitueError

if TYPE_CHECKING:
    from habitue.app import Shop
    from habitue.evaluation import Comparison, Evaluated, Tuned

__all__ = ["app", "main"]

app = typer.Typer(
    name="habitue",
    help="Recommendations that bring a shop's customers back.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)
snapshots = typer.Typer(
    help="Trained snapshots: list, activate, roll back.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(snapshots, name="snapshots")
app.add_typer(keys, name="keys")
app.add_typer(messages, name="messages")


def main() -> None:
    """Run the command line; an error Habitué raises on purpose is one line and exit code 1."""
    try:
        app()
    except HabitueError as error:
        print(f"habitue: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except BrokenPipeError:  # `habitue ... | head`
        sys.stderr.close()
        raise SystemExit(141) from None


def _open(store: str | None, settings: Path | None, **overrides: object) -> Shop:
    from habitue.app import open_shop

    return open_shop(store, settings=settings, overrides=overrides)


@app.command("import")
def import_(
    source: Annotated[
        str, typer.Argument(help="A CSV, JSONL, Parquet, XML or HTML file, or a SQL address.")
    ],
    mapping: Annotated[
        str | None,
        typer.Option(
            help="A shipped mapping, a TOML file, or what the file is: habitue, ga4, merchant, "
            "schema-org [told by the file where it says so itself]."
        ),
    ] = None,
    query: Annotated[str | None, typer.Option(help="The SQL query, for an address.")] = None,
    report: Annotated[
        Path | None, typer.Option(help="Write the data report here, as JSON.")
    ] = None,
    rejects: Annotated[Path | None, typer.Option(help="Write refused rows here, as JSONL.")] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on with lines to come, until Ctrl-C.")
    ] = False,
    store: Store = None,
    settings: SettingsFile = None,
) -> None:
    """Read a file, or a table of a database, into the shop's facts; show what cleaning found."""
    from habitue.cli.progress import bars

    if follow:
        from habitue.cli.following import follow as follow_
        from habitue.errors import BadInput

        if query is not None or report is not None:
            raise BadInput("--follow reads a file that grows: without --query and --report.")
        with _open(store, settings) as shop:
            follow_(shop, source, mapping, rejects)
        return
    with _open(store, settings) as shop, bars() as progress:
        found = shop.ingest(
            source, mapping=mapping, query=query, rejects=rejects, progress=progress
        )
    if report is not None:
        report.write_text(found.to_json(), "utf-8")
    _console().print(found.to_table())


@app.command()
def train(
    store: Store = None,
    settings: SettingsFile = None,
    activate: Annotated[bool, typer.Option(help="Serve it as soon as its checks pass.")] = True,
    seed: Annotated[int, typer.Option(help="Seed of everything random in training.")] = 0,
) -> None:
    """Learn a snapshot from the facts up to now, check it and make it the active one."""
    from habitue.cli.progress import bars
    from habitue.cli.show import snapshot_table

    with _open(store, settings) as shop, bars() as progress:
        made = shop.train(activate=activate, seed=seed, progress=progress)
        report = shop.report(made.name)
    _console().print(snapshot_table([made]))
    if report is not None:
        _console().print(report.table())


@app.command()
def evaluate(
    split: Annotated[
        str, typer.Option(help="by-time, rolling, leave-last-out or k-fold.")
    ] = "by-time",
    rebuy: Annotated[bool, typer.Option(help="Count items bought before as right too.")] = False,
    n: Annotated[int, typer.Option(help="Length of the lists.", min=1, max=200)] = 10,
    folds: Annotated[int, typer.Option(help="Of k-fold and rolling.", min=2, max=20)] = 5,
    curve: Annotated[
        str, typer.Option(help="Learn from part of the shoppers, or of the time, too.")
    ] = "none",
    ablate: Annotated[
        bool, typer.Option("--ablate", help="Learn without each source, too: what does it add?")
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of training and of the bootstrap.")] = 0,
    report: Annotated[Path | None, typer.Option(help="Write a page with plots here.")] = None,
    json: Json = False,
    store: Store = None,
    settings: SettingsFile = None,
) -> None:
    """Train on the past, ask for what came after, and tell how often it was right."""
    from habitue.cli.progress import bars

    with _open(store, settings) as shop, bars() as progress:
        found = shop.evaluate(
            split=split, rebuy=rebuy, n=n, seed=seed, folds=folds, curve=curve, ablate=ablate,
            progress=progress,
        )  # fmt: skip
    _tell(found, report, json)


@app.command()
def tune(
    minutes: Annotated[float, typer.Option(help="How long to search.", min=0)] = 30.0,
    out: Annotated[Path, typer.Option(help="Write the settings found here.")] = Path(
        "habitue.tuned.toml"
    ),
    rebuy: Annotated[bool, typer.Option(help="Count items bought before as right too.")] = False,
    n: Annotated[int, typer.Option(help="Length of the lists.", min=1, max=200)] = 10,
    seed: Annotated[int, typer.Option(help="Seed of the search and of training.")] = 0,
    report: Annotated[Path | None, typer.Option(help="Write a page with plots here.")] = None,
    json: Json = False,
    store: Store = None,
    settings: SettingsFile = None,
) -> None:
    """Search for better settings of training; the same command goes on where it ended."""
    from habitue.cli.progress import bars

    with _open(store, settings) as shop, bars() as progress:
        found = shop.tune(minutes=minutes, rebuy=rebuy, n=n, seed=seed, progress=progress)
    out.write_text(found.toml, "utf-8")
    _tell(found, report, json)
    if not json:
        print(f"The settings found are in {out}: put them in the place of your [training].")


@app.command()
def compare(
    first: Annotated[str, typer.Argument(help="A snapshot's name.")],
    second: Annotated[str, typer.Argument(help="Another's, held against it.")],
    n: Annotated[int, typer.Option(help="Length of the lists.", min=1, max=200)] = 10,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
    report: Annotated[Path | None, typer.Option(help="Write a page with plots here.")] = None,
    json: Json = False,
    store: Store = None,
    settings: SettingsFile = None,
) -> None:
    """Ask two snapshots the same: what each got, how far they differ, who gains and who loses."""
    from habitue.cli.progress import bars

    with _open(store, settings) as shop, bars() as progress:
        found = shop.compare(first, second, n=n, seed=seed, progress=progress)
    _tell(found, report, json)


def _tell(found: Evaluated | Comparison | Tuned, report: Path | None, json: bool) -> None:
    """Print what was found, and write it as a page where that is asked for."""
    if report is not None:
        report.write_text(found.to_html(), "utf-8")
    if json:
        print(found.to_json())
    else:
        _console().print(found.to_table())


@app.command()
def recommend(
    shopper: Annotated[str | None, typer.Argument(help="The shopper's id.")] = None,
    surface: Annotated[str, typer.Option(help="home, item, cart, fresh, …")] = "home",
    item: Annotated[
        list[str] | None, typer.Option(help="The item looked at, or an item of the cart.")
    ] = None,
    n: Annotated[int, typer.Option(help="How many items.", min=1, max=200)] = 10,
    json: Json = False,
    store: Store = None,
    settings: SettingsFile = None,
) -> None:
    """Make one slate and show it with its reasons."""
    from habitue.cli.show import slate_json, slate_table

    # A command waits for its answer: the first of a process is slower than a server's.
    with _open(store, settings, **{"server.slate_budget_ms": 10_000}) as shop:
        slate = shop.recommend(shopper, surface=surface, items=item or (), n=n)
        if json:
            print(slate_json(slate))
        else:
            _console().print(slate_table(shop, slate))


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Where to listen [127.0.0.1].")] = None,
    port: Annotated[int | None, typer.Option(help="On which port [8000].")] = None,
    workers: Annotated[int | None, typer.Option(help="How many processes [1].")] = None,
    shop: Annotated[
        list[str] | None, typer.Option(help="Several shops, each as NAME=STORE.")
    ] = None,
    store: Store = None,
    settings: SettingsFile = None,
) -> None:
    """Serve the HTTP interface and the start page until Ctrl-C."""
    from habitue.cli.serving import serve as serve_

    said = {"server.host": host, "server.port": port, "server.workers": workers}
    told = {name: value for name, value in said.items() if value is not None}
    serve_(store, settings, told, shop or ())


@app.command()
def demo(
    data: Annotated[Path | None, typer.Option(help="Your own orders instead of a demo.")] = None,
    mapping: Annotated[str | None, typer.Option(help="How to read them: a mapping.")] = None,
    host: Annotated[str, typer.Option(help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="On which port.")] = 8000,
    folder: Annotated[Path, typer.Option(help="Where shops are kept.")] = Path("var"),
) -> None:
    """A shop in minutes: bring up a store, serve it at once, train beside, and show the result."""
    from habitue.cli.demo import demo as demo_

    demo_(data, mapping, host=host, port=port, folder=folder)


@app.command()
def backup(
    path: Annotated[Path, typer.Argument(help="Where to write the copy.")],
    store: Store = None,
    settings: SettingsFile = None,
) -> None:
    """Write a consistent copy of the facts while the shop goes on."""
    with _open(store, settings) as shop:
        shop.backup(path)
    print(f"The facts are in {path}.")


@app.command()
def restore(
    path: Annotated[Path, typer.Argument(help="A copy that `habitue backup` wrote.")],
    store: Store = None,
    settings: SettingsFile = None,
) -> None:
    """Put a copy in the store's place, and erase again whoever was erased since it was made."""
    from habitue.app import restore as restore_

    erased = restore_(path, store, settings=settings)
    print(f"Restored. {erased} shoppers erased since the copy was made were erased again.")
    print("Snapshots trained before do not fit any more: `habitue train` makes one that does.")


@app.command()
def forget(
    shopper: Annotated[str, typer.Argument(help="The shopper's id.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    store: Store = None,
    settings: SettingsFile = None,
) -> None:
    """Erase a shopper everywhere. This cannot be undone."""
    if not yes:
        typer.confirm(f"Erase everything about {shopper}?", abort=True)
    with _open(store, settings) as shop:
        erased = shop.forget(shopper)
    print(
        ", ".join(f"{n} {table}" for table, n in erased.rows.items() if n) or "nothing was stored"
    )


@app.command()
def retain(store: Store = None, settings: SettingsFile = None) -> None:
    """Delete what is older than the settings keep it; a running server does so once a day."""
    with _open(store, settings) as shop:
        gone = shop.retain()
    print(
        ", ".join(f"{n} {kind}" for kind, n in gone.items())
        or "Everything is kept: set privacy.action_days or privacy.shown_days."
    )


@app.command()
def export(
    shopper: Annotated[str, typer.Argument(help="The shopper's id.")],
    store: Store = None,
    settings: SettingsFile = None,
) -> None:
    """Print everything stored about a shopper, as JSON."""
    import json as json_

    with _open(store, settings) as shop:
        print(json_.dumps(shop.export(shopper), indent=2, ensure_ascii=False))


@app.command()
def outlook(
    shopper: Annotated[str, typer.Argument(help="The shopper's id.")],
    json: Json = False,
    store: Store = None,
    settings: SettingsFile = None,
) -> None:
    """Tell when a customer is expected back, how likely they buy soon, and why."""
    from habitue.cli.show import outlook_table, told_json

    with _open(store, settings) as shop:
        told = shop.outlook(shopper)
    if json:
        print(told_json(told))
    else:
        _console().print(outlook_table(told))


@app.command()
def portrait(
    shopper: Annotated[str, typer.Argument(help="The shopper's id.")],
    json: Json = False,
    store: Store = None,
    settings: SettingsFile = None,
) -> None:
    """Tell who a shopper is: interests, price band, value and stage, and what that rests on."""
    from habitue.cli.show import portrait_table, told_json

    with _open(store, settings) as shop:
        told = shop.portrait(shopper)
    if json:
        print(told_json(told))
    else:
        _console().print(portrait_table(told))


@app.command()
def ratings(
    shopper: Annotated[str, typer.Argument(help="The shopper's id.")],
    items: Annotated[list[str], typer.Argument(help="The ids of the items, 100 at most.")],
    level: Annotated[
        float, typer.Option(help="Share of ratings that lie within the intervals told.")
    ] = 0.8,
    json: Json = False,
    store: Store = None,
    settings: SettingsFile = None,
) -> None:
    """Tell what a shopper would give items, how sure that is, and why."""
    from habitue.cli.show import ratings_table, told_json

    with _open(store, settings) as shop:
        told = shop.ratings(shopper, items, level=level)
    if json:
        print(told_json(told))
    else:
        _console().print(ratings_table(told))


@app.command()
def doctor(store: Store = None, settings: SettingsFile = None) -> None:
    """Look for what is wrong with the settings, the store, the live state and the snapshots."""
    from habitue.cli.doctor import examine
    from habitue.cli.show import findings_table

    findings = examine(store, settings)
    _console().print(findings_table(findings))
    if any(finding.state == "wrong" for finding in findings):
        raise typer.Exit(1)


@app.command("settings")
def settings_() -> None:
    """Print a habitue.toml with every setting at its default."""
    from habitue.settings import Settings

    print(Settings.render(), end="")


@snapshots.command("list")
def list_(json: Json = False, store: Store = None, settings: SettingsFile = None) -> None:
    """The snapshots, newest first."""
    from habitue.cli.show import snapshot_json, snapshot_table

    with _open(store, settings) as shop:
        made = shop.snapshots()
    if json:
        print(snapshot_json(made))
    else:
        _console().print(snapshot_table(made))


@snapshots.command()
def activate(
    name: Annotated[str, typer.Argument(help="The snapshot's name.")],
    store: Store = None,
    settings: SettingsFile = None,
) -> None:
    """Answer from this snapshot from now on; a running server switches by itself."""
    with _open(store, settings) as shop:
        shop.activate(name)
    print(f"{name} is active.")


@snapshots.command("roll-back")
def roll_back(store: Store = None, settings: SettingsFile = None) -> None:
    """Go back to the snapshot that was active before."""
    with _open(store, settings) as shop:
        print(f"{shop.roll_back().name} is active.")


def _console() -> Any:
    from habitue.cli.show import console

    return console()

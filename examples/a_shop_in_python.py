"""A small shop, told, trained and asked: the whole loop in one file.

.venv/bin/python examples/a_shop_in_python.py
"""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

import habitue
from habitue import Action, Item

DAY_MS = 86_400_000
START_MS = 1_750_000_000_000
THINGS = {"garden": ("spade", "rake", "gloves", "hose"), "kitchen": ("pan", "knife", "bowl", "mug")}


def facts() -> list[Item | Action]:
    """Sixty days of two kinds of people, who each buy what their kind buys."""
    draw = random.Random(4)
    told: list[Item | Action] = [
        Item(id=f"{thing}-{size}", title=f"{size} {thing}", product_type=kind, price_micros=price,
             currency="EUR")
        for kind, things in THINGS.items()
        for thing in things
        for size, price in (("small", 9_000_000), ("large", 19_000_000))
    ]  # fmt: skip
    for visit in range(1500):
        person = draw.randrange(200)
        kind = "garden" if person % 2 else "kitchen"
        at = START_MS + int(visit / 1500 * 60 * DAY_MS)
        for step in range(draw.randint(1, 4)):
            item = f"{draw.choice(THINGS[kind])}-{draw.choice(('small', 'large'))}"
            what = "purchase" if draw.random() < 0.3 else "view_item"
            told.append(
                Action(kind=what, shopper=f"s-{person}", item=item, at=at + step * 60_000,
                       order_id=f"o-{visit}-{step}" if what == "purchase" else None)
            )  # fmt: skip
    return told


def main() -> None:
    """Tell, train, ask."""
    with tempfile.TemporaryDirectory() as folder, habitue.open(Path(folder) / "shop.db") as shop:
        stored = shop.ingest(facts())
        print(f"{stored.new} facts stored")
        snapshot = shop.train()
        print(f"snapshot {snapshot.name}")
        shop.ingest([Action(kind="view_item", shopper="newcomer", item="spade-small")])
        for slot in shop.recommend("newcomer", n=5).items:
            print(f"{slot.item:15} {slot.reason}")


if __name__ == "__main__":
    main()

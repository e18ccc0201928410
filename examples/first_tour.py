# %% [markdown]
# # A first tour of Habitué
#
# A shop is opened, told what happened, trained, and asked. Everything here runs in this process, on
# one SQLite file; over HTTP the same facts go in as JSON and the same slates come out.

# %%
from __future__ import annotations

import random
import tempfile
from pathlib import Path

import habitue
from habitue import Action, Item

folder = tempfile.TemporaryDirectory()
shop = habitue.open(Path(folder.name) / "shop.db")

# %% [markdown]
# ## Facts in
#
# Items as a catalogue knows them, actions by their GA4 names. What is told is durable on return.
# This shop has two kinds of people, gardeners and cooks, who each buy what their kind buys.

# %%
DAY_MS = 86_400_000
START_MS = 1_750_000_000_000
THINGS = {"garden": ("spade", "rake", "gloves", "hose"), "kitchen": ("pan", "knife", "bowl", "mug")}

shop.ingest(
    [
        Item(id=f"{size}-{thing}", title=f"{size} {thing}", product_type=kind,
             price_micros=price, currency="EUR", valid_from=START_MS)
        for kind, things in THINGS.items()
        for thing in things
        for size, price in (("small", 9_000_000), ("large", 19_000_000))
    ]
)  # fmt: skip

draw = random.Random(4)
told = []
for visit in range(1500):
    person = draw.randrange(200)
    kind = "garden" if person % 2 else "kitchen"
    at = START_MS + visit * 60 * DAY_MS // 1500
    for step in range(draw.randint(1, 4)):
        item = f"{draw.choice(('small', 'large'))}-{draw.choice(THINGS[kind])}"
        what = "purchase" if draw.random() < 0.3 else "view_item"
        told.append(Action(kind=what, shopper=f"s-{person}", item=item, at=at + step * 60_000))
print(shop.ingest(told).new, "actions stored")

# %% [markdown]
# ## Training
#
# Facts up to now become a snapshot: sources of candidates, a ranker, and how both did on a span
# that was held out. The shop answers from it at once.

# %%
snapshot = shop.train()
report = shop.report(snapshot.name)
if report is not None:
    for name, value in sorted(report.metrics().items()):
        if name.endswith("ndcg@10"):
            print(f"{name}: {value:.3f}")

# %% [markdown]
# ## A slate, with reasons
#
# A reason is found by experiment: the cause without which the item would have stood lower.

# %%
gardener = "s-1"
for slot in shop.recommend(gardener, n=5, seed=1).items:
    print(f"{slot.item:15} {slot.reason}")

# %% [markdown]
# ## The next request sees the last event
#
# Somebody nobody knows looks at one thing; then says of the first item shown that it is not for
# them.

# %%
shop.ingest([Action(kind="view_item", shopper="newcomer", item="small-spade")])
first = [slot.item for slot in shop.recommend("newcomer", n=5, seed=1).items]
print("after one look:   ", first)
shop.ingest([Action(kind="not_interested", shopper="newcomer", item=first[0])])
second = [slot.item for slot in shop.recommend("newcomer", n=5, seed=1).items]
print("after a refusal:  ", second)
assert first[0] not in second

# %% [markdown]
# ## Leaving
#
# Erasure reaches the store, live state and everything trained; a stranger is what remains.

# %%
print(shop.forget("newcomer").rows)
shop.close()
folder.cleanup()

# %% [markdown]
# # A tour of the deep sources
#
# What reads the order of actions, the graph of what is known of items, the ties between people and
# the ratings they gave: each is a source beside the others, and the ranker learns over all of
# them. The club here is small enough to train within half a minute. PyTorch trains (`pip install
# 'habitue[deep]'`); what serves needs none.

# %%
from __future__ import annotations

import random
import tempfile
import time
from pathlib import Path

import habitue
from habitue import Action, Item, Link

SOURCES: list[dict[str, object]] = [
    {"source": "popular"},
    {"source": "als", "factors": 16},
    {"source": "knowledge"},
    {"source": "social"},
    {"source": "factor", "factors": 4, "taste": 1.0},
    {
        "source": "sequence",
        "behaviour": {"dim": 32, "length": 20, "schedule": {"epochs": 8, "tokens": 500}},
    },
]
PROPOSED = {str(one["source"]): 20 for one in SOURCES if one["source"] != "factor"}
SETTINGS = {
    "training.sources": SOURCES,
    "training.quotas": {"home": PROPOSED},
    "training.windows": 2,
    "training.visits": 300,
    "training.ranker.rounds": 30,
}

folder = tempfile.TemporaryDirectory()
shop = habitue.open(Path(folder.name) / "club.db", overrides=SETTINGS)

# %% [markdown]
# ## What is known of items, and who knows whom
#
# Six directors made twelve films each, parts of series that are seen in order. Who directed a film
# is one of its attributes; its sequel is told by a triple. Friends are ties, too.

# %%
DAY_MS = 86_400_000
START_MS = int(time.time() * 1000) - 60 * DAY_MS
DIRECTORS = ("Ida Lund", "Tom Reyes", "Mei Ando", "Paul Okoro", "Vera Sandt", "Jon Bell")
draw = random.Random(7)

films = [
    Item(id=f"film-{n}-{part}", title=f"Story {n}.{part}", attributes={"director": name},
         valid_from=START_MS)
    for n, name in enumerate(DIRECTORS)
    for part in range(12)
]  # fmt: skip
follows = [
    Link(kind="knowledge", head=f"film-{n}-{part}", relation="sequel", tail=f"film-{n}-{part + 1}")
    for n in range(len(DIRECTORS))
    for part in range(11)
]
friends = [Link(kind="friend", head=f"s-{who}", tail=f"s-{(who + 6) % 240}") for who in range(240)]

# %% [markdown]
# ## What people do
#
# Everybody follows one director, begins somewhere in the series and goes on from part to part, and
# rates what they saw: high by their director, low by others.

# %%
seen: list[Action] = []
for who in range(240):
    favourite = who % 6
    part, at = draw.randrange(12), START_MS + draw.randrange(50) * DAY_MS
    for _ in range(draw.randint(4, 9)):
        stray = draw.random() < 0.3
        director = draw.randrange(6) if stray else favourite
        film = f"film-{director}-{draw.randrange(12) if stray else part % 12}"
        stars = draw.choice((4, 5)) if director == favourite else draw.choice((1, 2))
        seen.append(Action(kind="purchase", shopper=f"s-{who}", item=film, at=at))
        seen.append(
            Action(kind="rate", shopper=f"s-{who}", item=film, rating=stars, at=at + 7_200_000)
        )
        part, at = part + (not stray), at + DAY_MS + draw.randrange(DAY_MS)
print(shop.ingest([*films, *follows, *friends, *seen]).new, "facts stored")

# %% [markdown]
# ## Training
#
# The ranker learns on a span that no source has seen; what is reported is a span that neither has.
# Beside the whole stands what the first minutes of a shop are served by, before anything is
# learnt.

# %%
snapshot = shop.train()
report = shop.report(snapshot.name)
assert report is not None
for name, value in sorted(report.metrics().items()):
    if name.endswith("ndcg@10"):
        print(f"{name}: {value:.3f}")

# %% [markdown]
# ## What comes next, and by which path
#
# Somebody new watches two parts of a series. The network that reads order knows what follows; the
# graph knows why it belongs there, and every edge of the path was told to the shop.

# %%
for part in (3, 4):
    shop.ingest([Action(kind="purchase", shopper="newcomer", item=f"film-2-{part}")])
for slot in shop.recommend("newcomer", n=6, seed=1).items:
    print(f"{slot.item:10} {slot.reason}")

# %% [markdown]
# ## What a rating would be, and what speaks for it

# %%
shop.ingest(
    [Action(kind="rate", shopper="newcomer", item=f"film-2-{part}", rating=5) for part in (3, 4)]
)
told = shop.ratings("newcomer", ["film-2-5", "film-0-5"])
for one in told.ratings:
    print(f"{one.item:10} {one.rating:.1f} [{one.low:.1f}, {one.high:.1f}]")

# %% [markdown]
# ## A shopper as a vector
#
# For anything a shop builds itself: whoever lies near does alike.

# %%
near = shop.embeddings()
print(len(near), "shoppers as vectors of", len(near["vector"][0]), "numbers")

# %%
shop.close()
folder.cleanup()

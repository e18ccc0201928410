"""Matrix factorisation: predicted ratings as a heat map, and the same idea as Habitué serves it.

    python examples/classic/factorisation.py

The textbook half fits vectors to stars and fills in the whole matrix. A shop has no stars but
actions, so Habitué factorises what people *did* (Hu, Koren and Volinsky, 2008) and returns a slate.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from ratings import OUT, Ratings, factorise, films, movielens

import habitue
from habitue import Action, Item
from habitue.metrics import rmse

N = 30  # people and films of the heat map
RANK = 200  # they are so far from the most active: their row has blanks
PEOPLE = (13, 302)
ALS_ALONE = {
    "training.sources": [{"source": "als", "factors": 32}],
    "training.quotas": {"home": {"als": 100}},
    "training.windows": 1,
    "training.starts": 0,
    "training.visits": 0,
    "training.evaluate": False,
}


def heat_map(ratings: Ratings, foretold: np.ndarray, titles: list[str], path: Path) -> None:
    """Some active people by the most rated films; a dot where the rating was really given."""
    people = np.argsort(-np.bincount(ratings.user), kind="stable")[RANK : RANK + N]
    rated = np.argsort(-np.bincount(ratings.film), kind="stable")[:N]
    part = foretold[np.ix_(people, rated)]
    across, down = np.argsort(-part.mean(axis=0)), np.argsort(-part.mean(axis=1))
    given = ratings.matrix()[people][:, rated].toarray()[down][:, across]
    figure, axes = plt.subplots(figsize=(9, 8), layout="constrained")
    image = axes.imshow(part[down][:, across], vmin=1, vmax=5, cmap="viridis")
    axes.plot(*np.nonzero(given)[::-1], ".", color="white", markersize=2)
    axes.set_xticks(range(N), [titles[film] for film in rated[across]], rotation=90, fontsize=7)
    axes.set_yticks(range(N), [f"person {one}" for one in people[down]], fontsize=7)
    axes.set_title("Predicted ratings (a dot: this one was given)")
    figure.colorbar(image, label="stars")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def textbook(ratings: Ratings, titles: list[str]) -> None:
    """Fit on four fifths, check on the rest, draw."""
    train, held = ratings.split(len(ratings) // 5, np.random.default_rng(7))
    factors = factorise(train, k=20, penalty=0.1)
    print(f"held-out ratings are missed by {rmse(held.stars, factors.at(held)):.3f} stars (RMSE)")
    heat_map(ratings, factors.all(), titles, OUT / "predicted_ratings.svg")
    print(f"heat map: {OUT / 'predicted_ratings.svg'}")


def on_habitue(ratings: Ratings, titles: list[str]) -> None:
    """Four stars and more are a like; then three lines: ingest, train, recommend."""
    liked = ratings.take(np.flatnonzero(ratings.stars >= 4))
    films_told = [Item(id=f"film-{n}", title=title) for n, title in enumerate(titles)]
    likes = [
        Action(kind="like", shopper=f"person-{user}", item=f"film-{film}")
        for user, film in zip(liked.user.tolist(), liked.film.tolist(), strict=True)
    ]
    with (
        tempfile.TemporaryDirectory() as folder,
        habitue.open(Path(folder) / "films.db", overrides=ALS_ALONE) as shop,
    ):
        shop.ingest([*films_told, *likes])
        shop.train()
        for person in PEOPLE:
            slate = shop.recommend(f"person-{person}", n=5, seed=1)
            print(f"to person {person} Habitué shows")
            for slot in slate.items:
                print(f"  {titles[int(slot.item[5:])]}")


def main() -> None:
    ratings, titles = movielens(), films()["title"].to_list()
    textbook(ratings, titles)
    on_habitue(ratings, titles)


if __name__ == "__main__":
    main()

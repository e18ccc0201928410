"""Principal components of attributes: how much of the films' genres fits on a sheet of paper.

    python examples/classic/attributes_pca.py

Each film is a row of 0s and 1s, one for each genre. PCA (Pearson, 1901; Hotelling, 1933) is the
SVD of that table with its column means taken off. Habitué's ``content`` source is its sibling for
words: TF-IDF reduced by SVD; it answers beside an item.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import polars as pl
from matplotlib import pyplot as plt
from ratings import OUT, films

import habitue
from habitue import Action, Item

FILM = "Star Wars"
CONTENT_ALONE = {
    "training.sources": [{"source": "content"}],
    "training.quotas": {"home": {"content": 50}, "item": {"content": 50}},
    "training.windows": 1,
    "training.starts": 0,
    "training.visits": 0,
    "training.evaluate": False,
}


def indicators(genres: pl.Series) -> tuple[np.ndarray, list[str]]:
    """The films' genres as 0 and 1: (n_films, n_genres), and the genres' names."""
    names = sorted({one for film in genres.to_list() for one in film if one})
    place = {name: column for column, name in enumerate(names)}
    table = np.zeros((len(genres), len(names)))
    for row, film in enumerate(genres.to_list()):
        table[row, [place[one] for one in film if one]] = 1
    return table, names


def components(table: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where each film lies (n, k), the axes (k, n_genres), each one's share of variance (k,)."""
    u, s, axes = np.linalg.svd(table - table.mean(axis=0), full_matrices=False)
    return u * s, axes, s**2 / np.sum(s**2)


def scatter(place: np.ndarray, axes: np.ndarray, names: list[str], first: list[str]) -> None:
    """The films on the first two axes, and which way each genre pulls."""
    figure, plot = plt.subplots(figsize=(8, 6), layout="constrained")
    rng = np.random.default_rng(1)
    near = place[:, :2] + rng.normal(0, 0.015, (len(place), 2))  # films alike would lie on one dot
    for genre in ("Drama", "Comedy", "Action", "Thriller", "Children's"):
        mine = np.array([one == genre for one in first])
        plot.plot(near[mine, 0], near[mine, 1], ".", markersize=4, alpha=0.6, label=genre)
    for genre, (x, y) in zip(names, axes[:2].T, strict=True):
        if np.hypot(x, y) > 0.12:
            plot.annotate(genre, (0, 0), (x, y), arrowprops={"arrowstyle": "<-"}, fontsize=8)
    plot.set(xlabel="first component", ylabel="second component", title="Films by their genres")
    plot.legend(title="first genre")
    OUT.mkdir(parents=True, exist_ok=True)
    figure.savefig(OUT / "genres_pca.svg")


def beside_on_habitue(table: pl.DataFrame) -> list[str]:
    """What Habitué shows beside the film, from the words of their genres alone."""
    told = [
        Item(id=row["title"], description=" ".join(row["genres"]))
        for row in table.unique("title", maintain_order=True).to_dicts()
    ]
    with (
        tempfile.TemporaryDirectory() as folder,
        habitue.open(Path(folder) / "films.db", overrides=CONTENT_ALONE) as shop,
    ):
        shop.ingest([*told, Action(kind="view_item", shopper="ana", item=FILM)])
        shop.train()
        slate = shop.recommend(surface="item", items=[FILM], n=5, seed=1)
        return [slot.item for slot in slate.items]


def main() -> None:
    table = films()
    known, names = indicators(table["genres"])
    place, axes, share = components(known)
    kept = np.cumsum(share)
    for k in (1, 2, 5, 10, len(names)):
        print(f"{k:2} of {len(names)} components keep {kept[k - 1]:6.1%} of the variance")
    for k in range(2):
        pull = np.argsort(-np.abs(axes[k]))[:3]
        print(f"component {k + 1}: " + ", ".join(f"{axes[k, g]:+.2f} {names[g]}" for g in pull))
    scatter(place, axes, names, [film[0] for film in table["genres"].to_list()])
    print(f"scatter plot: {OUT / 'genres_pca.svg'}")
    at = table["title"].to_list().index(FILM)
    far = np.linalg.norm(place[:, :5] - place[at, :5], axis=1)
    beside = [table["title"][int(row)] for row in np.argsort(far, kind="stable") if row != at][:5]
    print(f"near {FILM} on five components: {'; '.join(beside)}")
    print(f"beside {FILM} on Habitué: {'; '.join(beside_on_habitue(table))}")


if __name__ == "__main__":
    main()

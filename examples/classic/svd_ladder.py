# %% [markdown]
# # SVD on MovieLens, scored honestly
#
# Many a tutorial fills the blanks of a rating matrix with zeros, takes a singular value
# decomposition with k = 50, and reports an error over the whole matrix, blanks included. A blank is
# no rating of zero stars: it is a film nobody told us about. Here 20,000 of the 100,000 ratings are
# held out, only those are scored, and every method stands on one ladder with the simplest one that
# could work.

# %%
from __future__ import annotations

import numpy as np
import polars as pl
from matplotlib import pyplot as plt
from ratings import OUT, biases, factorise, movielens, truncated_svd

from habitue.metrics import bootstrap_means, mae, percentile_interval, rmse

K = 50
rng = np.random.default_rng(7)
train, held = movielens().split(20_000, rng)
print(f"{len(train):,} ratings to learn from, {len(held):,} to foretell")

# %% [markdown]
# ## The rungs
#
# 1. **The global mean**: the same for everyone.
# 2. **Biases**: some people are kind, some films are good. No taste at all.

# %%
foretold = {"global mean": np.full(len(held), train.stars.mean())}
base = biases(train)
foretold["biases of people and films"] = base.at(held)

# %% [markdown]
# 3. **Plain SVD on blanks as zeros**: it learns, correctly, that almost everything is zero.
# 4. **The same without its singular values**, a mistake seen in print: U·Vᵀ has lost its scale.

# %%
u, s, v = truncated_svd(train.matrix(), K)
foretold["plain SVD, blanks as zeros"] = np.sum(u[held.user] * s * v[held.film], axis=1)
foretold["... without its singular values"] = np.sum(u[held.user] * v[held.film], axis=1)

# %% [markdown]
# 5. **Centred SVD**: what is left of a rating when the person's mean is taken off, blanks as zeros.
#    Now a blank says "as usual", which is a fair thing to say.

# %%
count = np.bincount(train.user, minlength=train.shape[0])
usual = np.bincount(train.user, train.stars, train.shape[0]) / np.maximum(count, 1)
u, s, v = truncated_svd(train.matrix(train.stars - usual[train.user]), K)
meeting = np.sum(u[held.user] * s * v[held.film], axis=1)
foretold["centred SVD"] = usual[held.user] + meeting

# %% [markdown]
# 6. **Regularised factors**: biases, and vectors fitted to the ratings there are, blanks left out.
#    The penalty is chosen on a tenth of the *training* ratings; the held-out are not looked at.

# %%
learn, check = train.split(len(train) // 10, rng)
tried = {
    penalty: rmse(check.stars, factorise(learn, K, penalty).at(check))
    for penalty in (0.05, 0.1, 0.15, 0.2)
}
best = min(tried, key=lambda penalty: tried[penalty])
print(", ".join(f"penalty {penalty}: {error:.4f}" for penalty, error in tried.items()))
foretold[f"regularised factors (penalty {best})"] = factorise(train, K, best).at(held)

# %% [markdown]
# ## The table
#
# Intervals of 95 % by the bootstrap over people: the ratings of one person are not independent.

# %%
rows = []
for name, told in foretold.items():
    errors = np.column_stack([(held.stars - told) ** 2, np.abs(held.stars - told)])
    drawn = bootstrap_means(errors, np.random.default_rng(8), group=held.user)
    by_rmse = percentile_interval(rmse(held.stars, told), np.sqrt(drawn[:, 0]))
    by_mae = percentile_interval(mae(held.stars, told), drawn[:, 1])
    rows.append((name, by_rmse, by_mae))
for name, by_rmse, by_mae in rows:
    print(f"{name:40} RMSE {by_rmse}   MAE {by_mae}")

# %%
figure, axes = plt.subplots(figsize=(8, 3.5), layout="constrained")
for place, (_, by_rmse, _) in enumerate(reversed(rows)):
    axes.barh(place, by_rmse.estimate, color="tab:blue")
    axes.plot([by_rmse.low, by_rmse.high], [place, place], color="black")
axes.set_yticks(range(len(rows)), [name for name, _, _ in reversed(rows)])
axes.set(xlabel="RMSE on 20,000 held-out ratings, stars", title="MovieLens 100K")
OUT.mkdir(parents=True, exist_ok=True)
figure.savefig(OUT / "svd_ladder.svg")
pl.DataFrame(
    [
        {
            "method": name,
            **{f"rmse{end}": getattr(by_rmse, which) for end, which in
               (("", "estimate"), ("_low", "low"), ("_high", "high"))},
            **{f"mae{end}": getattr(by_mae, which) for end, which in
               (("", "estimate"), ("_low", "low"), ("_high", "high"))},
        }
        for name, by_rmse, by_mae in rows
    ]
).write_csv(OUT / "svd_ladder.csv")  # fmt: skip

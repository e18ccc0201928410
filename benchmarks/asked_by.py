"""What a request says, read by the network: side by side with the same network that does not.

    python -m benchmarks.asked_by [--data lastfm|clicks|retail] [--part validation|test] [--seeds 1]

Last.fm (HetRec 2011): listeners tag artists; the tag stands for words searched, the artist for what
was chosen, as in the studies of personalised search on folksonomies. One action a listener and
artist, one of its tags by lot; what is told of an artist are the name and the tags that others gave
it in the training part. TalkingData: clicks on advertisements of apps, by the address they came
from; the channel stands for the surface, the operating system for the platform. Online Retail: the
country as locale, the lines of an order in an order drawn by lot.

The last item of each shopper is asked for (``--part validation``: the one before), all items ranked
but those the shopper has; where shoppers come back to what they had (clicks, retail) all of them.
NDCG@10 with a 95 % interval by bootstrap over shoppers, and the gain over the network that hears
nothing, paired.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from rich.console import Console

from benchmarks.leave_one_out import Shoppers, contexts, shoppers_of, training_facts
from habitue.behaviour.config import BehaviourConfig, ScheduleConfig
from habitue.candidates.contract import TrainingFacts
from habitue.candidates.roster import learner_of, warm
from habitue.candidates.sequence import SequenceConfig, SequenceSource
from habitue.facts import Catalogue, Circumstances, Context, Side, Vocabulary
from habitue.metrics import bootstrap_mean, paired_lift
from habitue.metrics.ranks import mean_rank, ndcg_of_rank
from habitue.portraits import pick
from tests.needs import data_folder

LEAST = 5  # actions of a shopper


@dataclass(frozen=True)
class Shop:
    """Shoppers, and what each of their actions said: texts (N,) a side."""

    data: Shoppers
    said: dict[Side, NDArray[Any]]
    catalogue: Callable[[NDArray[np.bool_]], Catalogue] | None = None  # by what is learnt from
    repeats: bool = False
    price_micros: NDArray[np.int64] | None = None  # (N,) paid, where it is known

    def facts(self) -> TrainingFacts:
        """The training part, with its circumstances."""
        kept = np.flatnonzero(self.data.from_end >= 2)
        kept = kept[np.argsort(self.data.at_ms[kept], kind="stable")]
        facts = training_facts(self.data)
        codes: dict[str, NDArray[Any]] = {
            side: np.zeros(len(kept), np.int16) for side in ("surface", "platform", "device",
                                                             "locale")
        }  # fmt: skip
        codes["words"] = np.zeros(len(kept), np.int32)
        names: dict[str, tuple[str, ...]] = {}
        for side, text in self.said.items():
            own, code = np.unique(text[kept].astype(str), return_inverse=True)
            names[side] = ("", *own.tolist())
            codes[side] = (code + 1).astype(codes[side].dtype)
        said = Circumstances(**codes, vocabulary=Vocabulary(**names))
        told = facts.catalogue
        if self.catalogue is not None:
            told = self.catalogue(self.data.from_end >= 2)
        log = replace(facts.log, circumstances=said)
        if self.price_micros is not None:
            log = replace(log, price_micros=self.price_micros[kept])
        return replace(facts, log=log, catalogue=told)

    def requests(self, sides: tuple[Side, ...]) -> list[tuple[NDArray[np.int64], Context]]:
        """Requests that say what the action asked for said on those sides; a batch a surface."""
        context = contexts(self.data)
        at = np.flatnonzero(self.data.from_end == self.data.asked - 1)
        text: dict[str, tuple[str, ...]] = {
            "query" if side == "words" else side: tuple(self.said[side][at].tolist())
            for side in sides if side != "surface"
        }  # fmt: skip
        context = replace(context, **text)
        place = self.said["surface"][at] if "surface" in sides else np.full(len(at), "-")
        batches = []
        for name in np.unique(place.astype(str)):
            rows = np.flatnonzero(place == name)
            batches.append((rows, replace(pick(context, rows), surface=str(name))))
        return batches


def lengths(who: pl.Series) -> NDArray[np.int64]:
    """Rows of each shopper, one after the other."""
    return who.rle().struct.field("len").to_numpy().astype(np.int64)


def lastfm(seed: int) -> Shop:
    """Listeners who tagged artists."""
    folder = data_folder() / "lastfm_hetrec"
    tags = pl.read_parquet(folder / "tags.parquet").select("tagID", tag="tagValue")
    given = pl.read_parquet(folder / "user_taggedartists.parquet").join(tags, on="tagID")
    given = given.filter(pl.col("year") >= 2000)
    given = given.with_columns(lot=np.random.default_rng(seed).random(given.height))
    acts = given.sort("lot").group_by("userID", "artistID", maintain_order=True).first()
    acts = acts.filter(pl.len().over("userID") >= LEAST)
    acts = acts.sort("userID", "year", "month", "day", "lot")
    own, item = np.unique(acts["artistID"].to_numpy(), return_inverse=True)
    at = pl.datetime(acts["year"], acts["month"], acts["day"]).dt.epoch("ms")
    data = shoppers_of(
        item.astype(np.int32), lengths(acts["userID"]),
        acts.select(at)[:, 0].to_numpy(),
    )  # fmt: skip
    rows = pl.DataFrame({"artistID": own, "item_row": np.arange(len(own), dtype=np.int32)})
    artists = pl.read_parquet(folder / "artists.parquet").select(artistID="id", title="name")
    pairs = acts.select("userID", "artistID")

    def catalogue(learnt: NDArray[np.bool_]) -> Catalogue:
        told = given.join(pairs.filter(learnt), on=["userID", "artistID"])
        told = told.group_by("artistID", "tag").len().sort("len", "tag", descending=[True, False])
        told = told.group_by("artistID", maintain_order=True).agg(
            description=pl.col("tag").head(20).str.join(" ")
        )
        frame = rows.join(artists, on="artistID", how="left").join(told, on="artistID", how="left")
        return Catalogue(frame.sort("item_row").drop("artistID"))

    return Shop(data, {"words": acts["tag"].to_numpy()}, catalogue)


def clicks(seed: int) -> Shop:
    """Clicks on apps."""
    del seed
    rows = pl.read_parquet(data_folder() / "talkingdata_ad_clicks" / "clicks.parquet")
    rows = rows.with_columns(at=pl.col("click_time").str.to_datetime().dt.epoch("ms"))
    rows = rows.filter(pl.len().over("ip") >= LEAST).sort("ip", "at")
    _, item = np.unique(rows["app"].to_numpy(), return_inverse=True)
    data = shoppers_of(
        item.astype(np.int32), lengths(rows["ip"]),
        rows["at"].to_numpy(),
    )  # fmt: skip
    said: dict[Side, NDArray[Any]] = {
        "surface": rows.select(pl.format("channel {}", "channel"))[:, 0].to_numpy(),
        "platform": rows.select(pl.format("os {}", "os"))[:, 0].to_numpy(),
    }
    return Shop(data, said, repeats=True)


def retail(seed: int) -> Shop:
    """Lines of orders, with the customer's country."""
    lines = pl.read_parquet(data_folder() / "online_retail" / "online_retail.parquet").filter(
        ~pl.col("InvoiceNo").str.starts_with("C"), pl.col("Quantity") > 0, pl.col("UnitPrice") > 0,
        pl.col("CustomerID").is_not_null(), pl.col("StockCode").str.contains(r"^\d{5}"),
    )  # fmt: skip
    lines = lines.with_columns(lot=np.random.default_rng(seed).random(lines.height))
    lines = lines.unique(["InvoiceNo", "StockCode"], keep="any", maintain_order=True)
    lines = lines.filter(pl.len().over("CustomerID") >= LEAST)
    lines = lines.sort("CustomerID", "InvoiceDate", "lot")
    own, item = np.unique(lines["StockCode"].to_numpy(), return_inverse=True)
    data = shoppers_of(
        item.astype(np.int32),
        lengths(lines["CustomerID"]),
        lines["InvoiceDate"].cast(pl.Datetime).dt.epoch("ms").to_numpy(),
    )
    sold = lines.with_columns(item_row=item.astype(np.int32))

    def catalogue(learnt: NDArray[np.bool_]) -> Catalogue:
        told = sold.filter(learnt).group_by("item_row").agg(
            title=pl.col("Description").last(),
            price_micros=(pl.col("UnitPrice").last() * 1e6).cast(pl.Int64),
        )  # fmt: skip
        rows = pl.DataFrame({"item_row": np.arange(len(own), dtype=np.int32)})
        return Catalogue(rows.join(told, on="item_row", how="left").sort("item_row"))

    said: dict[Side, NDArray[Any]] = {"locale": lines["Country"].to_numpy()}
    paid = (lines["UnitPrice"].to_numpy() * 1e6).astype(np.int64)
    return Shop(data, said, catalogue, repeats=True, price_micros=paid)


SHOPS: dict[str, Callable[[int], Shop]] = {"lastfm": lastfm, "clicks": clicks, "retail": retail}


def config(**settings: Any) -> SequenceConfig:
    """A small network of the defaults."""
    behaviour = BehaviourConfig(
        kinds=("purchase",), dim=64, ties="drawn",
        schedule=ScheduleConfig(epochs=20, first_validation=0.2, validate_every=2),
    )  # fmt: skip
    return SequenceConfig(behaviour=behaviour.model_copy(update=settings))


def gains(source: SequenceSource, shop: Shop, sides: tuple[Side, ...]) -> NDArray[np.float64]:
    """NDCG@10 of each shopper's item, asked by requests that say so much."""
    data = shop.data
    target = data.item[data.from_end == data.asked - 1]
    had = data.matrix(data.asked)
    found = np.zeros(len(target))
    rows = np.arange(data.n_items, dtype=np.int32)
    for who, context in shop.requests(sides):
        for first in range(0, len(who), 512):
            some = who[first : first + 512]
            asked = pick(context, np.arange(first, first + len(some)))
            score = source.score(asked, np.broadcast_to(rows, (len(some), data.n_items)))
            score = np.array(score, np.float32)
            if not shop.repeats:
                score[had[some].nonzero()] = -np.inf
            found[some] = ndcg_of_rank(mean_rank(score, target[some]), 10)
    return found


def words_alone(source: SequenceSource, shop: Shop) -> NDArray[np.float64]:
    """The same by likeness of the words with what is told of items, whoever asks."""
    data = shop.data
    target = data.item[data.from_end == data.asked - 1]
    assert source.space is not None
    told = source.space.vectors(shop.facts().catalogue.frame)
    at = np.flatnonzero(data.from_end == data.asked - 1)
    score = source.space.of_words(shop.said["words"][at].tolist()) @ told.T
    score[data.matrix(data.asked).nonzero()] = -np.inf
    return ndcg_of_rank(mean_rank(score, target), 10)


def compare(name: str, part: str, seeds: int, changes: dict[str, Any], console: Console) -> None:
    """Print one shop's rows."""
    rng = np.random.default_rng(1)
    every: dict[str, list[NDArray[np.float64]]] = {}
    for seed in range(seeds):
        shop = SHOPS[name](seed)
        shop = replace(shop, data=replace(shop.data, asked=2 if part == "validation" else 1))
        facts, sides = shop.facts(), tuple(shop.said)
        heard: list[tuple[Side, ...]] = [(), *((side,) for side in sides)]
        heard += [sides] if len(sides) > 1 else []
        for asked_by in heard:
            before = time.process_time()
            said = config(asked_by=asked_by, **changes)
            source = learner_of(said).fit(facts, np.random.default_rng(seed))
            assert isinstance(source, SequenceSource)
            took = time.process_time() - before
            label = f"hears {', '.join(asked_by) or 'nothing'}"
            every.setdefault(label, []).append(gains(source, shop, asked_by))
            if asked_by:
                every.setdefault(f"{label}, told nothing", []).append(gains(source, shop, ()))
            console.print(
                f"seed {seed}, {label}: {every[label][-1].mean():.4f}, {took:.0f} CPU-s, "
                f"{source.measured['epochs']:.0f} epochs", style="dim",
            )  # fmt: skip
        if "words" in sides:
            every.setdefault("the words alone", []).append(words_alone(source, shop))
    plain = np.concatenate(every["hears nothing"])
    console.print(f"{name}, {part}: {len(plain) // seeds:,} shoppers, {seeds} seeds")
    for label, parts in every.items():
        each = np.concatenate(parts)
        over = paired_lift(each, plain, rng)
        console.print(
            f"{label}: {bootstrap_mean(each, rng)}, {over.estimate:+.1%} "
            f"[{over.low:+.1%}, {over.high:+.1%}]"
        )


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", choices=(*SHOPS, "all"), default="all")
    parser.add_argument("--part", choices=("validation", "test"), default="validation")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--set", nargs="*", default=[], help="settings of the network: name=number")
    told = parser.parse_args()
    changes = {name: float(value) for name, _, value in (one.partition("=") for one in told.set)}
    warm()
    for name in SHOPS if told.data == "all" else (told.data,):
        compare(name, told.part, told.seeds, changes, Console(width=110))


if __name__ == "__main__":
    main()

"""What the simulated shop sells: items with words for people and factors for the known truth.

Brands, titles and texts are invented. An item's latent factors say who will like it; its words
(category, brand, colour, material, style) let a good content model guess those factors.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib import resources

import numpy as np
import polars as pl
from numpy.typing import NDArray

from habitue.world.config import WorldConfig
from habitue.world.words import COLOURS, FLAVOURS, PALETTE_SIZE, SERIES, STYLES, TIER_LINES

__all__ = ["Category", "Shelves", "read_categories", "stock_shelves"]

STYLE_DIM = len(STYLES)


@dataclass(frozen=True, slots=True)
class Category:
    """One shelf of the shop, as the table of categories describes it."""

    department: str
    name: str
    median_price: float  # in whole units of the currency
    cycle_days: float  # how long a pack lasts; 0 for things that are bought once
    peak_month: int
    season: float  # how much more wanted at the peak, in log odds
    nouns: tuple[str, ...]
    materials: tuple[str, ...]
    sizes: tuple[str, ...]
    goes_with: tuple[str, ...]
    uses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shelves:
    """All items as arrays, I items; ``frame`` holds their words, row by row."""

    categories: tuple[Category, ...]
    brands: tuple[str, ...]
    nouns: tuple[str, ...]
    frame: pl.DataFrame  # id, title, description, brand, product_type, color, material, size, group
    category: NDArray[np.int16]  # (I,)
    noun: NDArray[np.int16]  # (I,) index into ``nouns``
    brand: NDArray[np.int16]  # (I,)
    colour: NDArray[np.int16]  # (I,) index into COLOURS; -1 where a thing has none
    style: NDArray[np.float32]  # (I, STYLE_DIM)
    price_level: NDArray[np.float32]  # (I,) standard deviations from its category's mean log price
    quality: NDArray[np.float32]  # (I,) liked by everyone, in log odds
    launch_day: NDArray[np.int16]  # (I,) day of the history; negative before it begins
    price_minor: NDArray[np.int32]  # (I, days) the price of each day
    in_stock: NDArray[np.bool_]  # (I, days)
    trend: NDArray[np.float32]  # (I, days) passing popularity, in log odds

    def __len__(self) -> int:
        return len(self.category)

    @property
    def cycle_days(self) -> NDArray[np.float32]:
        """Days each item lasts before it is bought again; 0 for durable things."""
        cycles = np.array([c.cycle_days for c in self.categories], np.float32)
        return np.asarray(cycles[self.category], np.float32)

    def goes_with(self) -> NDArray[np.bool_]:
        """Which categories complement which, (C, C): row bought, column wanted beside it."""
        place = {c.name: at for at, c in enumerate(self.categories)}
        table = np.zeros((len(place), len(place)), np.bool_)
        for at, category in enumerate(self.categories):
            table[at, [place[name] for name in category.goes_with]] = True
        return table


def _rows(name: str) -> list[dict[str, str]]:
    text = resources.files("habitue.world").joinpath(name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines(), delimiter="|"))


def _split(text: str, mark: str = ";") -> tuple[str, ...]:
    return tuple(part for part in text.split(mark) if part)


def read_categories() -> tuple[Category, ...]:
    """The shop's categories, in the order of its departments."""
    return tuple(
        Category(
            department=row["department"],
            name=row["category"],
            median_price=float(row["median_price"]),
            cycle_days=float(row["cycle_days"]),
            peak_month=int(row["peak_month"]),
            season=float(row["season"]),
            nouns=_split(row["nouns"]),
            materials=_split(row["materials"]),
            sizes=_split(row["sizes"]),
            goes_with=_split(row["goes_with"]),
            uses=_split(row["uses"], "/"),
        )
        for row in _rows("categories.csv")
    )


@dataclass(frozen=True, slots=True)
class _Brands:
    names: tuple[str, ...]
    tier: NDArray[np.int16]  # 0 plain, 1 middle, 2 fine
    style: NDArray[np.float32]
    departments: tuple[tuple[str, ...], ...]


def _read_brands(rng: np.random.Generator) -> _Brands:
    rows = _rows("brands.csv")
    return _Brands(
        names=tuple(row["brand"] for row in rows),
        tier=np.array([int(row["tier"]) for row in rows], np.int16),
        style=rng.normal(0, 0.8, (len(rows), STYLE_DIM)).astype(np.float32),
        departments=tuple(_split(row["departments"]) for row in rows),
    )


@dataclass(frozen=True, slots=True)
class _Families:
    """A family is one design: its members differ in colour or size."""

    category: NDArray[np.int16]
    noun: NDArray[np.int16]  # within the category
    brand: NDArray[np.int16]
    material: NDArray[np.int16]  # within the category; -1 for none
    series: NDArray[np.int16]
    style: NDArray[np.float32]
    quality: NDArray[np.float32]
    log_price: NDArray[np.float32]
    launch_day: NDArray[np.int16]


def _draw_families(
    categories: tuple[Category, ...], brands: _Brands, config: WorldConfig, rng: np.random.Generator
) -> tuple[_Families, NDArray[np.int64]]:
    """The designs, and for each item the design it belongs to."""
    n = config.n_items
    members = rng.choice([1, 2, 3, 4], size=n, p=[0.4, 0.3, 0.2, 0.1])
    family = np.repeat(np.arange(n), members)[:n]
    n_families = int(family[-1]) + 1
    share = rng.dirichlet(np.full(len(categories), 12.0))
    category = rng.choice(len(categories), n_families, p=share).astype(np.int16)
    category[: len(categories)] = np.arange(min(len(categories), n_families))
    stocked = [
        [at for at, where in enumerate(brands.departments) if c.department in where]
        for c in categories
    ]
    pick = rng.random((3, n_families))
    brand = np.array(
        [stocked[c][int(p * len(stocked[c]))] for c, p in zip(category, pick[0], strict=True)],
        np.int16,
    )
    noun = np.array(
        [int(p * len(categories[c].nouns)) for c, p in zip(category, pick[1], strict=True)],
        np.int16,
    )
    material = np.array(
        [
            int(p * len(categories[c].materials)) if categories[c].materials else -1
            for c, p in zip(category, pick[2], strict=True)
        ],
        np.int16,
    )
    noun_factor = rng.normal(0, 0.28, (len(categories), 16))
    tier_factor = np.log(np.array([0.72, 1.0, 1.62]))
    log_price = (
        np.log([categories[c].median_price for c in category])
        + noun_factor[category, noun]
        + tier_factor[brands.tier[brand]]
        + rng.normal(0, 0.2, n_families)
    )
    # Two thirds of the range stood on the shelves before; the rest is launched as time goes by.
    launched = rng.random(n_families) < 0.66
    launch = np.where(launched, -1 - rng.integers(0, 700, n_families), 0)
    fresh = rng.integers(0, config.days - 1, n_families)
    style = 0.75 * brands.style[brand] + rng.normal(0, 0.65, (n_families, STYLE_DIM))
    families = _Families(
        category=category,
        noun=noun,
        brand=brand,
        material=material,
        series=rng.integers(0, len(SERIES), n_families).astype(np.int16),
        style=style.astype(np.float32),
        quality=rng.normal(0, 0.75, n_families).astype(np.float32),
        log_price=log_price.astype(np.float32),
        launch_day=np.where(launched, launch, fresh).astype(np.int16),
    )
    return families, family


def _shop_price(price: NDArray[np.float64]) -> NDArray[np.int32]:
    """Prices as shops write them, in minor units: 4.95, 18.90, 132.00.

    >>> _shop_price(np.array([4.2, 18.3, 131.7])).tolist()
    [395, 1790, 13200]
    """
    whole = np.maximum(np.round(price), 1) * 100
    ending = np.where(price < 10, -5, np.where(price < 60, -10, 0))
    return np.asarray(whole + ending, np.int32)


def _price_days(
    log_price: NDArray[np.float64], config: WorldConfig, rng: np.random.Generator
) -> NDArray[np.int32]:
    """Each day's price: a tenth of the items change once, another tenth go on sale for a while."""
    n, days = len(log_price), config.days
    day = np.arange(days)
    factor = np.ones((n, days), np.float64)
    changed = np.flatnonzero(rng.random(n) < 0.1)
    since = rng.integers(10, max(days - 5, 11), len(changed))
    step = rng.choice([0.92, 1.05, 1.08], len(changed))
    factor[changed] = np.where(day >= since[:, None], step[:, None], 1.0)
    on_sale = np.flatnonzero(rng.random(n) < 0.1)
    begins = rng.integers(0, days, len(on_sale))
    ends = begins + rng.integers(5, 21, len(on_sale))
    during = (day >= begins[:, None]) & (day < ends[:, None])
    factor[on_sale] *= np.where(during, rng.choice([0.7, 0.8, 0.85], len(on_sale))[:, None], 1.0)
    return _shop_price(np.exp(log_price)[:, None] * factor)


def _stock_days(n: int, config: WorldConfig, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Which items are there on which days: a quarter run out once, for days up to weeks."""
    day = np.arange(config.days)
    gone = np.flatnonzero(rng.random(n) < 0.25)
    begins = rng.integers(0, config.days, len(gone))
    ends = begins + rng.integers(3, 28, len(gone))
    there = np.ones((n, config.days), np.bool_)
    there[gone] = ~((day >= begins[:, None]) & (day < ends[:, None]))
    return there


def _trend_days(n: int, config: WorldConfig, rng: np.random.Generator) -> NDArray[np.float32]:
    """Popularity that comes and goes: a smooth weekly walk, with a wave for a few items."""
    weeks = config.days // 7 + 2
    walk = np.cumsum(rng.normal(0, 0.1, (n, weeks)), axis=1)
    waves = np.flatnonzero(rng.random(n) < 0.06)
    peak = rng.uniform(0, weeks, (len(waves), 1))
    walk[waves] += rng.uniform(1.0, 2.2, (len(waves), 1)) * np.exp(
        -(((np.arange(weeks) - peak) / 2.2) ** 2)
    )
    at = np.arange(config.days) / 7.0
    left = at.astype(np.int64)
    part = at - left
    smooth = walk[:, left] * (1 - part) + walk[:, left + 1] * part
    return np.asarray(smooth - smooth.mean(axis=1, keepdims=True), np.float32)


def stock_shelves(config: WorldConfig, rng: np.random.Generator) -> Shelves:
    """Everything the shop sells over its history."""
    categories = read_categories()
    brands = _read_brands(rng)
    families, family = _draw_families(categories, brands, config, rng)
    category = families.category[family]
    within = np.arange(len(family)) - np.searchsorted(family, family)  # place within its design
    has_material = families.material[family] >= 0
    first_colour = rng.integers(0, PALETTE_SIZE, int(family[-1]) + 1)[family]
    stride = rng.integers(1, 6, int(family[-1]) + 1)[family]
    colour = np.where(has_material, (first_colour + within * stride) % PALETTE_SIZE, -1)
    n_sizes = np.array([len(c.sizes) for c in categories])[category]
    size = np.where(n_sizes > 0, (within + first_colour) % np.maximum(n_sizes, 1), -1)
    size_factor = np.where(has_material, 0.12, 0.45) * np.maximum(size, 0)
    log_price = families.log_price[family] + size_factor
    level = _price_level(log_price, category)
    names = tuple(sorted({noun for c in categories for noun in c.nouns}))
    place = {name: at for at, name in enumerate(names)}
    noun = np.array(
        [
            place[categories[c].nouns[k]]
            for c, k in zip(category, families.noun[family], strict=True)
        ],
        np.int16,
    )
    style = families.style[family] + rng.normal(0, 0.12, (len(family), STYLE_DIM))
    frame = _words(categories, brands, families, family, colour, size)
    return Shelves(
        categories=categories,
        brands=brands.names,
        nouns=names,
        frame=frame,
        category=category,
        noun=noun,
        brand=families.brand[family],
        colour=colour.astype(np.int16),
        style=style.astype(np.float32),
        price_level=level,
        quality=families.quality[family] + rng.normal(0, 0.25, len(family)).astype(np.float32),
        launch_day=families.launch_day[family],
        price_minor=_price_days(log_price.astype(np.float64), config, rng),
        in_stock=_stock_days(len(family), config, rng),
        trend=_trend_days(len(family), config, rng),
    )


def _price_level(
    log_price: NDArray[np.float64], category: NDArray[np.int16]
) -> NDArray[np.float32]:
    """How dear each item is for its category, in standard deviations."""
    count = np.maximum(np.bincount(category), 1)
    mean = np.bincount(category, log_price) / count
    spread = np.sqrt(np.bincount(category, (log_price - mean[category]) ** 2) / count)
    return np.asarray((log_price - mean[category]) / np.maximum(spread, 0.2)[category], np.float32)


def _words(
    categories: tuple[Category, ...],
    brands: _Brands,
    families: _Families,
    family: NDArray[np.int64],
    colour: NDArray[np.int64],
    size: NDArray[np.int64],
) -> pl.DataFrame:
    """Titles, descriptions and attributes, one row an item."""
    rows = []
    for item, f in enumerate(family):
        category = categories[families.category[f]]
        noun = category.nouns[families.noun[f]]
        m = families.material[f]
        material = category.materials[m] if m >= 0 else None
        shade = COLOURS[colour[item]] if colour[item] >= 0 else None
        measure = category.sizes[size[item]] if size[item] >= 0 else None
        series = SERIES[families.series[f]]
        brand = brands.names[families.brand[f]]
        title = " ".join(filter(None, (series, _material_in(material, noun), noun)))
        title += f", {measure}" if measure else ""
        title += f" – {shade}" if shade else ""
        top = int(np.argmax(families.style[f]))
        rows.append(
            {
                "id": f"{category.department[:4].strip().lower()}-{item:05d}",
                "title": title,
                "description": _description(category, noun, material, shade, top, f, brands, brand),
                "brand": brand,
                "product_type": f"{category.department} > {category.name}",
                "color": shade,
                "material": material,
                "size": measure,
                "group": f"design-{f:05d}",
                "style": (STYLES if material else FLAVOURS)[top][0],
            }
        )
    return pl.DataFrame(rows, infer_schema_length=None)


def _material_in(material: str | None, noun: str) -> str | None:
    """The material as a title says it: left out where the noun already names it."""
    if material is None or any(word in noun.lower() for word in material.split()):
        return None
    return material.title()


def _description(
    category: Category,
    noun: str,
    material: str | None,
    shade: str | None,
    style: int,
    family: int,
    brands: _Brands,
    brand: str,
) -> str:
    word, line = (STYLES if material else FLAVOURS)[style]
    kind = f"{noun.lower()} in {material}" if material else noun.lower()
    article = "An" if word[0] in "aeiou" else "A"
    tint = f" This one comes in {shade.lower()}." if shade else ""
    use = category.uses[family % len(category.uses)]
    tier = TIER_LINES[brands.tier[brands.names.index(brand)]]
    close = tier[(family // 3) % len(tier)].format(brand=brand)
    return f"{article} {word} {kind}. {use} {line}{tint} {close}"

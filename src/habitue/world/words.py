"""The words the simulated shop is made of: colours, styles, series, and what people write."""

from __future__ import annotations

from typing import Final

__all__ = [
    "COLOURS",
    "COLOUR_FAMILIES",
    "FLAVOURS",
    "PALETTE_SIZE",
    "REVIEWS",
    "SERIES",
    "STYLES",
    "TIER_LINES",
]

COLOURS: Final[tuple[str, ...]] = (
    "Chalk",
    "Oat",
    "Sand",
    "Clay",
    "Terracotta",
    "Rust",
    "Ochre",
    "Honey",
    "Moss",
    "Olive",
    "Sage",
    "Pine",
    "Sky",
    "Denim",
    "Indigo",
    "Slate",
    "Plum",
    "Rose",
    "Graphite",
    "Coal",
)
PALETTE_SIZE: Final = len(COLOURS)

COLOUR_FAMILIES: Final[tuple[int, ...]] = (
    *(0, 0, 0, 1, 1, 1, 2, 2, 3, 3),
    *(3, 3, 4, 4, 4, 5, 6, 6, 5, 5),
)
"""Family of each colour: pale, earth, yellow, green, blue, grey, red."""

STYLES: Final[tuple[tuple[str, str], ...]] = (
    ("rustic", "Marks of the making are left where they are."),
    ("plain", "Nothing on it that does not need to be there."),
    ("playful", "There is a small joke in it, if you look twice."),
    ("classic", "It looked right fifty years ago and will again."),
    ("bold", "It is not shy, and neither is its pattern."),
    ("airy", "Light to look at and light to live with."),
    ("refined", "The finish rewards a second look."),
    ("sturdy", "Built to be dropped, lent and inherited."),
)
"""A word and a sentence for each dimension of style."""

FLAVOURS: Final[tuple[tuple[str, str], ...]] = (
    ("rustic", "Made the old way, in small batches."),
    ("plain", "Few ingredients, all of them named."),
    ("playful", "A wink on the label, serious inside."),
    ("classic", "The recipe has not changed in years."),
    ("bold", "Not for those who whisper."),
    ("light", "Light from first to last."),
    ("refined", "Made with uncommon patience."),
    ("hearty", "Generous and dependable."),
)
"""The same dimensions, said of things that are used up."""

# fmt: off
SERIES: Final[tuple[str, ...]] = (
    "Harbour", "Meadow", "Fen", "Lantern", "Quarry", "Orchard", "Tide", "Bracken", "Heron",
    "Juniper", "Kiln", "Larch", "Mallow", "Nettle", "Osier", "Pebble", "Quince", "Reed",
    "Sorrel", "Thicket", "Umber", "Vesper", "Willow", "Yarrow", "Anchor", "Barley", "Cinder",
    "Dapple", "Ember", "Fallow", "Gable", "Hollow", "Islet", "Jetty", "Knoll", "Lichen",
    "Marsh", "Noon", "Oriel", "Paddock", "Quill", "Ripple", "Shale", "Tarn", "Upland", "Vale",
    "Weir", "Alder", "Birch", "Cove", "Dune", "Eddy", "Fern", "Glade", "Heath", "Inlet",
    "Jasper", "Kestrel", "Loam", "Mere", "Nook", "Otter", "Plover", "Rowan", "Spindle",
    "Thistle", "Verge", "Wren", "Aster", "Brook", "Copse", "Drift", "Elder", "Finch",
    "Garnet", "Hazel", "Iris", "Jackdaw", "Lark", "Moth", "Nightjar", "Oxeye", "Pollen",
    "Rafter", "Swift", "Teasel", "Umbel", "Violet", "Wick", "Arbour", "Beacon", "Croft",
    "Dell", "Estuary", "Furrow", "Grove", "Hearth",
)
# fmt: on
"""Names a maker gives a design; common words, so that no real line is meant."""

TIER_LINES: Final[tuple[tuple[str, ...], ...]] = (
    (
        "{brand} keeps it simple and the price low.",
        "From {brand}: good enough is good.",
        "{brand} makes plenty of them, and it shows in the price.",
    ),
    (
        "{brand} has made this kind of thing for a long while.",
        "{brand} guarantees it for five years.",
        "Designed and tested by {brand}.",
    ),
    (
        "Finished by hand in the workshop of {brand}.",
        "{brand} makes a small number each season.",
        "Numbered, signed and repaired for life by {brand}.",
    ),
)
"""How a maker speaks of itself, by price tier."""

REVIEWS: Final[tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]] = (
    (
        (
            "Not what I hoped for.",
            "Sent it back.",
            "Disappointing.",
            "The picture promised more.",
        ),
        (
            "The {noun} arrived with a flaw and feels cheap.",
            "After a week the {noun} already looked tired.",
            "For this price I expected a better {noun}.",
            "The colour is quite different from the page.",
        ),
    ),
    (
        (
            "It is all right.",
            "Does its job.",
            "Fine, nothing more.",
            "Mixed feelings.",
        ),
        (
            "A usable {noun}, though I have seen better.",
            "The {noun} is smaller than I thought.",
            "Delivery took its time, the {noun} itself is decent.",
            "I would buy it again at a lower price.",
        ),
    ),
    (
        (
            "Very happy with it.",
            "Exactly right.",
            "Would buy again.",
            "A lovely thing.",
        ),
        (
            "The {noun} feels better than it looks, and it looks good.",
            "We use this {noun} every day.",
            "Bought the {noun} as a gift and kept it.",
            "Well made, well packed, quickly here.",
        ),
    ),
)
"""Openers and details of reviews: two stars and fewer, three, four and more."""

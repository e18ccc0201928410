"""A picture for every item, drawn from its words: nothing to fetch, the same each time.

The thing is drawn where its title or category names one we can draw; anything else gets its
initials. Colours come from the item's own colour, else from its id.
"""

from __future__ import annotations

import colorsys
import re
from hashlib import blake2b
from itertools import pairwise

from markupsafe import Markup, escape

from habitue.console.glyphs import GLYPHS, NATURAL, PAIRS, WORDS

__all__ = ["COLOURS", "draw_tile", "tone_of"]

# fmt: off
COLOURS = {
    "chalk": "#ddd8cc", "oat": "#d8c7a6", "sand": "#cfb283", "clay": "#b98468",
    "terracotta": "#c4694a", "rust": "#a8502f", "ochre": "#cf9a33", "honey": "#e0ac45",
    "moss": "#7c8a46", "olive": "#8a8240", "sage": "#9bb093", "pine": "#3f6d57",
    "sky": "#86b4d8", "denim": "#4f76a3", "indigo": "#4b4f94", "slate": "#6b7a88",
    "plum": "#7f4a72", "rose": "#d48d97", "graphite": "#565b61", "coal": "#3b3e44",
    "white": "#dfe1e4", "cream": "#e6d9b8", "beige": "#d6c3a0", "brown": "#8a6142",
    "black": "#33363b", "grey": "#8a9098", "gray": "#8a9098", "silver": "#b4bac1",
    "red": "#c84a44", "orange": "#e08a3c", "yellow": "#e3bd3f", "green": "#5a9a5e",
    "blue": "#4a80c4", "navy": "#36507f", "turquoise": "#45a8a4", "purple": "#7d5aa6",
    "pink": "#dd93ad", "gold": "#c9a04a", "ivory": "#e6dfcb", "lilac": "#b39ccb",
}
# fmt: on
"""Names of colours we can paint."""

_WORD = re.compile(r"[a-zà-ÿ][a-zà-ÿ-]+")
_DIGEST_BYTES = 8


def _number(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=_DIGEST_BYTES).digest(), "big")


def tone_of(colour: str | None, key: str, natural: str | None = None) -> str:
    """The colour to paint with: the named one, else near the natural one, else chosen by ``key``.

    >>> tone_of("Moss", "a")
    '#7c8a46'
    """
    for word in _WORD.findall((colour or "").lower()):
        if word in COLOURS:
            return COLOURS[word]
    number = _number(key)
    if natural is not None:
        red, green, blue = (int(natural[at : at + 2], 16) / 255 for at in (1, 3, 5))
        hue, light, strength = colorsys.rgb_to_hls(red, green, blue)
        turned = (hue + (number % 21 - 10) / 200) % 1
        return _hex(*colorsys.hls_to_rgb(turned, light + (number // 21 % 9 - 4) / 60, strength))
    hue = (number % 360) / 360
    return _hex(*colorsys.hls_to_rgb(hue, 0.56, 0.38))


def _hex(red: float, green: float, blue: float) -> str:
    return "#" + "".join(f"{round(max(0, min(1, part)) * 255):02x}" for part in (red, green, blue))


def _shade(tone: str, towards: float, amount: float) -> str:
    parts = [int(tone[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part + (towards - part) * amount for part in parts)
    return _hex(red, green, blue)


def _ground(tone: str, number: int) -> str:
    """A quiet background: the thing's hue, turned a little, with one large shape in it."""
    red, green, blue = (int(tone[at : at + 2], 16) / 255 for at in (1, 3, 5))
    hue, light, strength = colorsys.rgb_to_hls(red, green, blue)
    pale = light > 0.72  # pale things need a deeper ground to stand out from
    turned = (hue + (0.0, 0.07, 0.5, -0.07)[number % 4]) % 1
    strength = 0.1 + 0.28 * strength
    field = _hex(*colorsys.hls_to_rgb(turned, 0.78 if pale else 0.9, strength))
    shape = _hex(*colorsys.hls_to_rgb(turned, 0.72 if pale else 0.84, strength))
    return (
        f'<rect width="100" height="100" fill="{field}"/>'
        + (
            f'<circle cx="50" cy="50" r="38" fill="{shape}"/>',
            f'<path d="M0 70h100v30H0z" fill="{shape}"/>',
            f'<path d="M16 100V48a34 34 0 0 1 68 0v52z" fill="{shape}"/>',
            f'<path d="M0 100 100 22v78z" fill="{shape}"/>',
            f'<circle cx="76" cy="26" r="34" fill="{shape}"/>',
        )[number // 4 % 5]
    )


def _glyph_of(title: str, product_type: str) -> str | None:
    """The last word of the title we can draw, else the last such word of the category."""
    head = re.split(r"[,–(]", title.lower())[0]
    for text in (head, title.lower(), product_type.lower()):
        words = _WORD.findall(text)
        for first, second in pairwise(words):
            if f"{first} {second}" in PAIRS:
                return PAIRS[f"{first} {second}"]
        for word in reversed(words):
            for form in (word, word.removesuffix("s"), word.removesuffix("es")):
                if form in WORDS:
                    return WORDS[form]
    return None


def _initials(title: str) -> str:
    letters = [word[0] for word in title.split() if word[0].isalnum()]
    return "".join(letters[:2]).upper() or "·"


def draw_tile(
    item_id: str, title: str, product_type: str = "", colour: str | None = None
) -> Markup:
    """The item's picture as an SVG element, 100 x 100 and square; decorative for screen readers.

    >>> "<svg" in draw_tile("a", "Harbour Mug – Moss", "Table > Cups", "Moss")
    True
    """
    number = _number(title or item_id)
    name = _glyph_of(title, product_type)
    tone = tone_of(colour, item_id, NATURAL.get(name or ""))
    if name is None:
        drawing = (
            f'<text x="50" y="50" dy=".36em" text-anchor="middle" font-size="34" font-weight="700" '
            f'fill="{_shade(tone, 0, 0.25)}">{escape(_initials(title))}</text>'
        )
    else:
        tones = {"M": tone, "D": _shade(tone, 0, 0.32), "L": _shade(tone, 1, 0.45)}
        drawing = re.sub(r'="([MDL])"', lambda match: f'="{tones[match[1]]}"', GLYPHS[name])
    return Markup(  # noqa: S704 - only numbers, our own shapes and escaped initials go in
        f'<svg viewBox="0 0 100 100" aria-hidden="true" focusable="false">'
        f"{_ground(tone, number)}{drawing}</svg>"
    )

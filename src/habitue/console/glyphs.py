"""Small drawings of things, for pictures of items that have none.

Each is SVG on a 100 x 100 field in three tones: ``M`` the thing's own colour, ``D`` a darker and
``L`` a lighter shade of it. Beside each stand the words that call for it.
"""

from __future__ import annotations

from typing import Final

__all__ = ["GLYPHS", "NATURAL", "PAIRS", "WORDS"]

# fmt: off
GLYPHS: Final[dict[str, str]] = {
    "pan": '<rect x="60" y="47" width="32" height="6" rx="3" fill="D"/><circle cx="42" cy="50" '
    'r="24" fill="D"/><circle cx="42" cy="50" r="19" fill="M"/><path d="M30 44a14 14 0 0 1 '
    '12-8" stroke="L" stroke-width="3" fill="none" stroke-linecap="round"/>',
    "pot": '<path d="M26 44h48v20a12 12 0 0 1-12 12H38a12 12 0 0 1-12-12z" fill="M"/><rect '
    'x="22" y="38" width="56" height="7" rx="3.5" fill="D"/><rect x="14" y="49" width="12" '
    'height="6" rx="3" fill="D"/><rect x="74" y="49" width="12" height="6" rx="3" '
    'fill="D"/><circle cx="50" cy="33" r="5" fill="D"/>',
    "knife": '<path d="M30 66 68 24c6 8 4 18-4 27L45 69z" fill="L"/><path d="M30 66 68 24c2 3 '
    '3 6 3 9L37 67z" fill="M"/><rect x="18" y="66" width="26" height="9" rx="4.5" '
    'transform="rotate(-45 31 70)" fill="D"/>',
    "board": '<rect x="30" y="34" width="40" height="46" rx="8" fill="M"/><rect x="44" y="18" '
    'width="12" height="20" rx="6" fill="M"/><circle cx="50" cy="25" r="3" fill="L"/><path '
    'd="M38 46v24M46 44v28M54 46v24M62 44v28" stroke="D" stroke-width="1.5" opacity=".55"/>',
    "spoon": '<ellipse cx="38" cy="34" rx="12" ry="16" transform="rotate(-30 38 34)" '
    'fill="M"/><rect x="47" y="42" width="6" height="42" rx="3" transform="rotate(-30 50 '
    '46)" fill="D"/><ellipse cx="36" cy="32" rx="6" ry="10" transform="rotate(-30 36 32)" '
    'fill="L"/>',
    "whisk": '<path d="M50 58c-18-8-18-36 0-38 18 2 18 30 0 38z" fill="none" stroke="M" '
    'stroke-width="3"/><path d="M50 58c-7-10-7-34 0-38 7 4 7 28 0 38z" fill="none" '
    'stroke="D" stroke-width="3"/><rect x="46" y="57" width="8" height="27" rx="4" fill="D"/>',
    "tin": '<path d="M24 40h52l-6 32a5 5 0 0 1-5 4H35a5 5 0 0 1-5-4z" fill="M"/><rect x="20" '
    'y="34" width="60" height="8" rx="4" fill="D"/><path d="M36 48l3 22M50 48v22M64 48l-3 '
    '22" stroke="L" stroke-width="3"/>',
    "jar": '<rect x="30" y="36" width="40" height="44" rx="8" fill="M"/><rect x="34" y="24" '
    'width="32" height="10" rx="4" fill="D"/><rect x="37" y="50" width="26" height="17" '
    'rx="3" fill="L"/><path d="M42 56h16M42 61h10" stroke="D" stroke-width="2" '
    'stroke-linecap="round"/>',
    "box": '<path d="M20 42 50 30l30 12v30L50 84 20 72z" fill="M"/><path d="M20 42l30 12 '
    '30-12-30-12z" fill="L"/><path d="M50 54v30l30-12V42z" fill="D"/>',
    "plate": '<circle cx="50" cy="51" r="31" fill="M"/><circle cx="50" cy="51" r="21" '
    'fill="L"/><path d="M37 43a15 15 0 0 1 12-8" stroke="D" stroke-width="2.5" fill="none" '
    'stroke-linecap="round"/>',
    "bowl": '<path d="M20 46h60a30 30 0 0 1-22 29v5H42v-5a30 30 0 0 1-22-29z" '
    'fill="M"/><ellipse cx="50" cy="46" rx="30" ry="7" fill="D"/><ellipse cx="50" cy="47" '
    'rx="25" ry="4.5" fill="L"/>',
    "mug": '<path d="M66 42h6a11 11 0 0 1 0 22h-6" fill="none" stroke="D" '
    'stroke-width="6"/><path d="M26 34h42v32a12 12 0 0 1-12 12H38a12 12 0 0 1-12-12z" '
    'fill="M"/><rect x="26" y="34" width="42" height="8" fill="L"/><path d="M40 26c-3-4 3-6 '
    '0-10M53 26c-3-4 3-6 0-10" stroke="D" stroke-width="2.5" fill="none" '
    'stroke-linecap="round" opacity=".5"/>',
    "glass": '<path d="M33 20h34c2 20-4 31-14 33v19h11v6H36v-6h11V53C37 51 31 40 33 20z" '
    'fill="L"/><path d="M33 33h34c-1 12-6 19-17 19s-16-7-17-19z" fill="M"/><rect x="36" '
    'y="73" width="28" height="5" rx="2.5" fill="D"/>',
    "carafe": '<path d="M42 18h16v20l10 14v20a8 8 0 0 1-8 8H40a8 8 0 0 1-8-8V52l10-14z" '
    'fill="L"/><path d="M32 54h36v18a8 8 0 0 1-8 8H40a8 8 0 0 1-8-8z" fill="M"/><rect x="39" '
    'y="15" width="22" height="7" rx="3.5" fill="D"/>',
    "cutlery": '<path d="M32 20v18a7 7 0 0 0 5 7v34h6V45a7 7 0 0 0 '
    '5-7V20h-4v16h-3V20h-3v16h-3V20z" fill="M"/><path d="M58 20c9 2 12 14 11 32h-5v27h-6z" '
    'fill="D"/>',
    "cloth": '<path d="M24 28h52v46l-9 6-8-6-9 6-9-6-8 6-9-6z" fill="M"/><path d="M24 38h52M24 '
    '64h52" stroke="L" stroke-width="4"/><path d="M37 28v48M63 28v48" stroke="D" '
    'stroke-width="2" opacity=".6"/>',
    "pouch": '<path d="M28 30h44l5 50H23z" fill="M"/><path d="M28 20h44v12H28z" '
    'fill="D"/><rect x="36" y="44" width="28" height="22" rx="11" fill="L"/><path d="M50 '
    '49c-6 4-6 9 0 13 6-4 6-9 0-13z" fill="D"/>',
    "leaf": '<path d="M50 82V44" stroke="D" stroke-width="4" stroke-linecap="round"/><path '
    'd="M50 56C28 56 22 42 22 30c16 0 28 8 28 26z" fill="M"/><path d="M50 48c0-18 12-28 '
    '28-28 0 16-8 28-28 28z" fill="L"/><path d="M50 70c12 0 18-6 20-14-12 0-20 4-20 14z" '
    'fill="M"/>',
    "kettle": '<path d="M34 36c2-20 30-20 32 0" fill="none" stroke="D" stroke-width="5"/><path '
    'd="M28 42h44l6 30a6 6 0 0 1-6 7H28a6 6 0 0 1-6-7z" fill="M"/><path d="M72 50l16-8-8 '
    '18z" fill="D"/><rect x="38" y="35" width="24" height="8" rx="4" fill="L"/>',
    "teapot": '<path d="M72 48c10-2 12 4 16-6l-4-4" fill="none" stroke="M" stroke-width="6" '
    'stroke-linecap="round"/><path d="M26 44c-14-2-16 18 0 18" fill="none" stroke="D" '
    'stroke-width="5"/><ellipse cx="50" cy="56" rx="27" ry="22" fill="M"/><path d="M34 '
    '38h32" stroke="D" stroke-width="4" stroke-linecap="round"/><circle cx="50" cy="31" '
    'r="4.5" fill="D"/><path d="M33 52a18 14 0 0 1 10-9" stroke="L" stroke-width="3" '
    'fill="none" stroke-linecap="round"/>',
    "press": '<rect x="32" y="32" width="34" height="46" rx="5" fill="L"/><rect x="32" y="50" '
    'width="34" height="28" rx="5" fill="M"/><path d="M66 44h8a5 5 0 0 1 5 5v14a5 5 0 0 1-5 '
    '5h-8" fill="none" stroke="D" stroke-width="5"/><rect x="29" y="28" width="40" '
    'height="7" rx="3.5" fill="D"/><rect x="47" y="16" width="4" height="14" '
    'fill="D"/><circle cx="49" cy="16" r="4" fill="D"/>',
    "bottle": '<path d="M43 18h14v16c8 4 10 10 10 18v22a7 7 0 0 1-7 7H40a7 7 0 0 1-7-7V52c0-8 '
    '2-14 10-18z" fill="M"/><rect x="42" y="13" width="16" height="9" rx="3" fill="D"/><rect '
    'x="38" y="52" width="24" height="18" rx="3" fill="L"/>',
    "pump": '<rect x="32" y="42" width="36" height="39" rx="8" fill="M"/><rect x="43" y="32" '
    'width="14" height="11" fill="D"/><path d="M50 32v-9h-17" fill="none" stroke="D" '
    'stroke-width="5" stroke-linejoin="round" stroke-linecap="round"/><rect x="38" y="54" '
    'width="24" height="14" rx="3" fill="L"/>',
    "packet": '<path d="M28 22l4 4 4-4 4 4 5-4 5 4 5-4 5 4 4-4 4 4 4-4v58H28z" '
    'fill="M"/><circle cx="50" cy="52" r="13" fill="L"/><path d="M50 60V48m0 5c-6 0-7-4-7-7 '
    '5 0 7 3 7 7zm0-2c0-5 3-7 7-7 0 4-2 7-7 7z" fill="D" stroke="D" stroke-width="1.5"/>',
    "sack": '<path d="M36 30c-14 14-18 50-6 51h40c12-1 8-37-6-51z" fill="M"/><path d="M38 '
    '18h24l-4 12H42z" fill="D"/><rect x="36" y="48" width="28" height="20" rx="4" '
    'fill="L"/><path d="M42 55h16M42 61h10" stroke="D" stroke-width="2.5" '
    'stroke-linecap="round"/>',
    "biscuit": '<circle cx="42" cy="54" r="22" fill="D"/><circle cx="58" cy="48" r="23" '
    'fill="M"/><g fill="D"><circle cx="50" cy="40" r="3"/><circle cx="64" cy="44" '
    'r="3"/><circle cx="56" cy="56" r="3"/><circle cx="69" cy="57" r="2.5"/></g>',
    "bed": '<rect x="16" y="52" width="68" height="18" rx="5" fill="M"/><rect x="16" y="30" '
    'width="8" height="50" rx="4" fill="D"/><rect x="78" y="46" width="6" height="34" rx="3" '
    'fill="D"/><rect x="27" y="42" width="22" height="13" rx="6" fill="L"/>',
    "pillow": '<path d="M22 36c8 4 48 4 56 0 6-2 8 2 6 8-2 6-2 12 0 18 2 6 0 10-6 '
    '8-8-4-48-4-56 0-6 2-8-2-6-8 2-6 2-12 0-18-2-6 0-10 6-8z" fill="M"/><path d="M34 46c8 4 '
    '24 4 32 0" stroke="L" stroke-width="3" fill="none" stroke-linecap="round"/>',
    "blanket": '<path d="M22 34h46a10 10 0 0 1 10 10v34H32a10 10 0 0 1-10-10z" fill="M"/><path '
    'd="M22 34h46a10 10 0 0 1 0 20H22z" fill="L"/><path d="M32 62h46M32 70h46" stroke="D" '
    'stroke-width="3"/><path d="M36 78v6M46 78v6M56 78v6M66 78v6" stroke="M" '
    'stroke-width="3"/>',
    "shirt": '<path d="M36 22 18 34l8 16 8-4v34h32V46l8 4 8-16-18-12c-4 8-24 8-28 0z" '
    'fill="M"/><path d="M36 22c4 8 24 8 28 0l-5-2c-3 4-15 4-18 0z" fill="D"/><path d="M50 '
    '34v44" stroke="L" stroke-width="2.5"/>',
    "jacket": '<path d="M38 20 20 32l-4 38h12l4-20v32h36V50l4 20h12l-4-38-18-12-6 8H44z" '
    'fill="M"/><path d="M38 20l6 8h12l6-8-12 14z" fill="D"/><path d="M50 34v48" stroke="L" '
    'stroke-width="3"/><path d="M36 64h8M56 64h8" stroke="D" stroke-width="3"/>',
    "sock": '<path d="M38 18h20v34l16 12c8 7 2 18-8 18-8 0-28-14-28-24z" fill="M"/><path '
    'd="M38 18h20v9H38z" fill="D"/><path d="M66 82c10 0 16-11 8-18-6 2-10 10-8 18z" '
    'fill="L"/>',
    "lamp": '<path d="M36 20h28l12 30H24z" fill="L"/><path d="M36 20h28l4 10H32z" '
    'fill="M"/><rect x="47" y="50" width="6" height="26" fill="D"/><rect x="34" y="75" '
    'width="32" height="7" rx="3.5" fill="D"/>',
    "torch": '<path d="M22 40h20v20H22z" fill="D"/><path d="M42 40h26l12-8v36l-12-8H42z" '
    'fill="M"/><path d="M80 32v36" stroke="L" stroke-width="6"/><circle cx="50" cy="50" '
    'r="4" fill="L"/>',
    "clock": '<circle cx="50" cy="51" r="30" fill="D"/><circle cx="50" cy="51" r="24" '
    'fill="L"/><path d="M50 36v15l11 8" stroke="D" stroke-width="4" fill="none" '
    'stroke-linecap="round"/><circle cx="50" cy="51" r="3" fill="M"/>',
    "towel": '<rect x="18" y="24" width="64" height="5" rx="2.5" fill="D"/><path d="M28 '
    '26h44v52H28z" fill="M"/><path d="M28 60h44v4H28zM28 68h44v3H28z" fill="L"/>',
    "soap": '<rect x="22" y="44" width="56" height="32" rx="14" fill="M"/><rect x="32" y="53" '
    'width="36" height="14" rx="7" fill="L"/><circle cx="64" cy="32" r="8" fill="L"/><circle '
    'cx="50" cy="27" r="5" fill="M"/><circle cx="76" cy="22" r="4" fill="M"/>',
    "brush": '<rect x="44" y="44" width="12" height="40" rx="6" fill="D"/><rect x="32" y="34" '
    'width="36" height="13" rx="4" fill="M"/><path d="M35 34l-2-17M42 34l-1-18M50 34V16M58 '
    '34l1-18M65 34l2-17" stroke="L" stroke-width="4"/>',
    "basket": '<path d="M30 42c0-28 40-28 40 0" fill="none" stroke="D" stroke-width="5"/><path '
    'd="M20 42h60l-7 36H27z" fill="M"/><path d="M24 52h52M25 61h49M27 70h46" stroke="L" '
    'stroke-width="3"/><path d="M38 43l3 34M50 43v34M62 43l-3 34" stroke="D" '
    'stroke-width="2"/>',
    "mirror": '<ellipse cx="50" cy="46" rx="25" ry="31" fill="D"/><ellipse cx="50" cy="46" '
    'rx="20" ry="26" fill="L"/><path d="M40 40l12-12M42 50l18-18" stroke="M" '
    'stroke-width="3" stroke-linecap="round"/><rect x="38" y="78" width="24" height="5" '
    'rx="2.5" fill="D"/>',
    "frame": '<rect x="24" y="22" width="52" height="58" rx="2" fill="D"/><rect x="31" y="29" '
    'width="38" height="44" fill="L"/><path d="M31 73l13-20 10 12 6-7 9 15z" '
    'fill="M"/><circle cx="58" cy="41" r="5" fill="M"/>',
    "cushion": '<rect x="25" y="27" width="50" height="50" rx="10" transform="rotate(8 50 52)" '
    'fill="M"/><path d="M34 38l34 30M66 36L36 70" stroke="D" stroke-width="2" '
    'opacity=".6"/><circle cx="51" cy="53" r="4" fill="L"/>',
    "rug": '<rect x="22" y="30" width="56" height="42" rx="2" fill="M"/><rect x="29" y="37" '
    'width="42" height="28" fill="none" stroke="L" stroke-width="3"/><path d="M50 42l10 9-10 '
    '9-10-9z" fill="D"/><path d="M22 32l-5 0M22 40h-5M22 48h-5M22 56h-5M22 64h-5M22 71h-5M78 '
    '32h5M78 40h5M78 48h5M78 56h5M78 64h5M78 71h5" stroke="D" stroke-width="2"/>',
    "candle": '<rect x="38" y="42" width="24" height="40" rx="3" fill="M"/><ellipse cx="50" '
    'cy="42" rx="12" ry="4" fill="L"/><path d="M50 42v-8" stroke="D" '
    'stroke-width="2.5"/><path d="M50 14c8 9 8 17 0 20-8-3-8-11 0-20z" fill="#e8a33d"/><path '
    'd="M50 23c3 4 3 8 0 10-3-2-3-6 0-10z" fill="#fbe6b0"/>',
    "vase": '<path d="M40 40h20c-2 8 10 12 10 26 0 10-6 16-12 16H42c-6 0-12-6-12-16 0-14 12-18 '
    '10-26z" fill="M"/><path d="M50 40V22M50 34c-8 0-11-6-11-12M50 32c8 0 12-8 12-14" '
    'stroke="D" stroke-width="3" fill="none" stroke-linecap="round"/><circle cx="50" cy="19" '
    'r="6" fill="L"/><circle cx="38" cy="21" r="4.5" fill="L"/><circle cx="63" cy="17" '
    'r="4.5" fill="L"/>',
    "stool": '<rect x="24" y="34" width="52" height="9" rx="4.5" fill="M"/><path d="M34 43l-8 '
    '39M66 43l8 39M46 43l-2 36M54 43l2 36" stroke="D" stroke-width="4" '
    'stroke-linecap="round"/><path d="M30 64h40" stroke="L" stroke-width="3"/>',
    "shelf": '<path d="M22 34h56M22 56h56M22 78h56" stroke="D" stroke-width="5"/><rect x="28" '
    'y="18" width="7" height="14" fill="M"/><rect x="37" y="14" width="7" height="18" '
    'fill="L"/><circle cx="66" cy="25" r="7" fill="M"/><rect x="52" y="40" width="18" '
    'height="14" rx="2" fill="M"/><rect x="30" y="62" width="26" height="14" rx="2" '
    'fill="L"/>',
    "plant": '<path d="M30 54h40l-5 28H35z" fill="M"/><rect x="27" y="50" width="46" '
    'height="8" rx="3" fill="D"/><path d="M50 50V28" stroke="#4d7a4f" '
    'stroke-width="3"/><path d="M50 40c-14 0-18-10-18-18 12 0 18 6 18 18zM50 34c0-12 8-18 '
    '18-18 0 12-6 18-18 18z" fill="#6a9a63"/>',
    "trowel": '<path d="M50 84C38 74 36 62 38 50h24c2 12 0 24-12 34z" fill="L"/><path d="M50 '
    '84C38 74 36 62 38 50h12z" fill="M"/><rect x="47" y="36" width="6" height="14" '
    'fill="D"/><rect x="43" y="14" width="14" height="25" rx="7" fill="D"/>',
    "can": '<path d="M28 44h36v34H28z" fill="M"/><path d="M64 60l20-22 4 4-22 28z" '
    'fill="D"/><path d="M34 44c-4-24 26-24 24 0" fill="none" stroke="D" '
    'stroke-width="5"/><path d="M28 52h36" stroke="L" stroke-width="4"/><path d="M84 34l8 8" '
    'stroke="L" stroke-width="5" stroke-linecap="round"/>',
    "chair": '<path d="M28 78 62 24M40 78l38-34" stroke="D" stroke-width="4" '
    'stroke-linecap="round"/><path d="M58 24c6 22-2 34-24 40l6-10c12-4 16-14 14-28z" '
    'fill="M"/><path d="M24 78h50" stroke="D" stroke-width="4" stroke-linecap="round"/><path '
    'd="M57 30l4 12M46 58l-8 5" stroke="L" stroke-width="3"/>',
    "parasol": '<path d="M14 48a36 32 0 0 1 72 0z" fill="M"/><path d="M38 48c0-18 6-28 12-32 6 '
    '4 12 14 12 32z" fill="L"/><path d="M50 14v68" stroke="D" stroke-width="4" '
    'stroke-linecap="round"/><path d="M38 82h24" stroke="D" stroke-width="4" '
    'stroke-linecap="round"/>',
    "house": '<path d="M50 20 80 42H20z" fill="D"/><path d="M28 42h44v32H28z" '
    'fill="M"/><circle cx="50" cy="56" r="9" fill="L"/><path d="M22 76h56" stroke="D" '
    'stroke-width="5" stroke-linecap="round"/>',
    "fire": '<path d="M50 16c14 14 20 22 20 32a20 20 0 0 1-40 0c0-8 6-12 8-20 4 4 6 6 8 10 4-6 '
    '5-14 4-22z" fill="#e2873a"/><path d="M50 38c6 6 9 10 9 15a9 9 0 0 1-18 0c0-5 6-9 9-15z" '
    'fill="#fbe0a0"/><path d="M22 68h56l-8 14H30z" fill="M"/><path d="M22 68h56" stroke="D" '
    'stroke-width="4" stroke-linecap="round"/>',
    "tent": '<path d="M50 22 86 78H14z" fill="M"/><path d="M50 22 86 78H58z" fill="D"/><path '
    'd="M50 44l16 34H34z" fill="L"/><path d="M46 16l8 12M54 16l-8 12" stroke="D" '
    'stroke-width="3"/>',
    "sleeping": '<rect x="34" y="18" width="34" height="66" rx="16" fill="M"/><path d="M34 '
    '44h34" stroke="D" stroke-width="3"/><ellipse cx="51" cy="32" rx="11" ry="9" '
    'fill="L"/><path d="M60 46v34" stroke="L" stroke-width="2.5" stroke-dasharray="3 3"/>',
    "pack": '<path d="M38 26c0-14 24-14 24 0" fill="none" stroke="D" stroke-width="5"/><rect '
    'x="26" y="26" width="48" height="56" rx="13" fill="M"/><rect x="33" y="54" width="34" '
    'height="21" rx="6" fill="D"/><path d="M26 44h48" stroke="L" stroke-width="4"/><rect '
    'x="45" y="40" width="10" height="10" rx="2" fill="L"/>',
    "bag": '<path d="M38 38c0-26 24-26 24 0" fill="none" stroke="D" stroke-width="5"/><path '
    'd="M24 38h52l4 42H20z" fill="M"/><path d="M22 66h56" stroke="L" stroke-width="4"/>',
    "stove": '<rect x="40" y="58" width="20" height="24" rx="5" fill="M"/><path d="M50 '
    '58V46M30 44h40M36 44l-8-8M64 44l8-8" stroke="D" stroke-width="4" '
    'stroke-linecap="round"/><path d="M50 16c8 8 10 12 10 17a10 10 0 0 1-20 0c0-5 4-8 '
    '10-17z" fill="#5b8fd0"/><path d="M50 28c3 4 4 5 4 8a4 4 0 0 1-8 0c0-3 2-4 4-8z" '
    'fill="#e8f1fc"/>',
    "flask": '<rect x="36" y="30" width="28" height="53" rx="7" fill="M"/><path d="M38 '
    '16h24v14H38z" fill="D"/><rect x="36" y="46" width="28" height="8" fill="L"/><path '
    'd="M42 60v15" stroke="L" stroke-width="3" stroke-linecap="round" opacity=".7"/>',
    "boot": '<path d="M36 18h22v34c4 8 22 8 24 20v8H36z" fill="M"/><path d="M34 78h50v6H34z" '
    'fill="D"/><path d="M36 18h22v8H36z" fill="D"/><path d="M40 32v38" stroke="L" '
    'stroke-width="3"/>',
    "hat": '<path d="M24 62c0-46 52-46 52 0z" fill="M"/><rect x="20" y="60" width="60" '
    'height="14" rx="7" fill="D"/><circle cx="50" cy="24" r="7" fill="L"/><path d="M36 '
    '40c2-5 5-8 9-10" stroke="L" stroke-width="3" fill="none" stroke-linecap="round"/>',
    "compass": '<circle cx="50" cy="52" r="29" fill="D"/><circle cx="50" cy="52" r="23" '
    'fill="L"/><path d="M62 38 54 56l-16 10 8-18z" fill="M"/><circle cx="50" cy="52" r="3" '
    'fill="D"/><circle cx="50" cy="19" r="5" fill="D"/>',
    "rope": '<g fill="none" stroke-width="6"><circle cx="50" cy="50" r="27" '
    'stroke="M"/><circle cx="50" cy="50" r="19" stroke="D"/><circle cx="50" cy="50" r="11" '
    'stroke="M"/></g><path d="M72 64l10 18" stroke="M" stroke-width="6" '
    'stroke-linecap="round"/>',
    "notebook": '<rect x="28" y="18" width="46" height="64" rx="5" fill="M"/><rect x="28" '
    'y="18" width="9" height="64" rx="3" fill="D"/><rect x="44" y="30" width="23" '
    'height="14" rx="2" fill="L"/><path d="M62 82V66" stroke="L" stroke-width="4"/>',
    "pencil": '<path d="M62 16 78 32 40 70 24 54z" fill="M"/><path d="M24 54l16 16-22 10z" '
    'fill="L"/><path d="M62 16l5-5c3-3 6-3 9 0l7 7c3 3 3 6 0 9l-5 5z" fill="D"/><path d="M22 '
    '70l-4 10 10-4z" fill="D"/>',
    "tray": '<path d="M18 40h64l-6 30a5 5 0 0 1-5 4H29a5 5 0 0 1-5-4z" fill="M"/><path d="M26 '
    '46h48l-4 20H30z" fill="D"/><rect x="36" y="30" width="10" height="28" rx="2" '
    'fill="L"/><rect x="50" y="36" width="14" height="22" rx="2" fill="M"/>',
    "card": '<rect x="20" y="30" width="60" height="44" rx="3" fill="L"/><path d="M20 33l30 24 '
    '30-24v-3H20z" fill="M"/><path d="M20 72l22-20M80 72 58 52" stroke="D" '
    'stroke-width="2.5"/>',
    "gift": '<rect x="24" y="40" width="52" height="40" rx="3" fill="M"/><rect x="20" y="32" '
    'width="60" height="12" rx="3" fill="D"/><rect x="45" y="32" width="10" height="48" '
    'fill="L"/><path d="M50 32c-18-2-20-18-8-16 6 1 8 10 8 16 0-6 2-15 8-16 12-2 10 14-8 '
    '16z" fill="L"/>',
    "paint": '<path d="M50 22c-22 0-34 14-32 30s16 26 24 20c6-5-2-10 4-14 8-5 34 10 36-12 '
    '1-14-14-24-32-24z" fill="L"/><g><circle cx="34" cy="42" r="5" fill="#d56c5b"/><circle '
    'cx="48" cy="34" r="5" fill="#e0aa3e"/><circle cx="63" cy="38" r="5" '
    'fill="#5f93c4"/><circle cx="31" cy="56" r="5" fill="M"/></g>',
    "blocks": '<rect x="20" y="52" width="28" height="28" rx="3" fill="M"/><rect x="52" y="52" '
    'width="28" height="28" rx="3" fill="D"/><rect x="36" y="22" width="28" height="28" '
    'rx="3" fill="L"/><circle cx="66" cy="66" r="7" fill="L"/><path d="M34 59l8 14H26z" '
    'fill="L"/>',
    "train": '<rect x="20" y="44" width="34" height="24" rx="4" fill="M"/><path d="M54 '
    '28h24v40H54z" fill="D"/><rect x="60" y="34" width="12" height="12" rx="2" '
    'fill="L"/><rect x="28" y="30" width="9" height="15" fill="D"/><g fill="L" stroke="D" '
    'stroke-width="4"><circle cx="32" cy="71" r="8"/><circle cx="66" cy="71" r="8"/></g>',
    "bear": '<circle cx="33" cy="30" r="10" fill="M"/><circle cx="67" cy="30" r="10" '
    'fill="M"/><circle cx="33" cy="30" r="5" fill="L"/><circle cx="67" cy="30" r="5" '
    'fill="L"/><circle cx="50" cy="50" r="27" fill="M"/><ellipse cx="50" cy="60" rx="13" '
    'ry="10" fill="L"/><circle cx="40" cy="46" r="3" fill="D"/><circle cx="60" cy="46" r="3" '
    'fill="D"/><ellipse cx="50" cy="56" rx="4.5" ry="3" fill="D"/>',
    "puzzle": '<path d="M24 38h16c-4-14 14-14 10 0h16v16c14-4 14 14 0 10v16H24z" '
    'fill="M"/><path d="M24 38h16c-4-14 14-14 10 0h16" fill="none" stroke="L" '
    'stroke-width="3"/>',
    "dice": '<rect x="20" y="38" width="40" height="40" rx="8" fill="M"/><rect x="50" y="20" '
    'width="32" height="32" rx="7" transform="rotate(14 66 36)" fill="D"/><g '
    'fill="L"><circle cx="31" cy="49" r="3.5"/><circle cx="49" cy="67" r="3.5"/><circle '
    'cx="40" cy="58" r="3.5"/><circle cx="62" cy="31" r="3"/><circle cx="70" cy="42" '
    'r="3"/></g>',
    "kite": '<path d="M54 14 78 40 42 66 28 30z" fill="M"/><path d="M54 14 42 66 28 30z" '
    'fill="L"/><path d="M28 30l50 10" stroke="D" stroke-width="2"/><path d="M42 66c-10 6 2 '
    '10-8 18" stroke="D" stroke-width="3" fill="none" stroke-linecap="round"/>',
    "ball": '<circle cx="50" cy="50" r="31" fill="M"/><path d="M50 19c-14 18-14 44 0 62M50 '
    '19c14 18 14 44 0 62" stroke="L" stroke-width="4" fill="none"/><path d="M19 50h62" '
    'stroke="D" stroke-width="4"/>',
    "bone": '<path d="M30 40c-10-8-18 4-10 10-8 6 0 18 10 10h40c10 8 18-4 10-10 8-6 '
    '0-18-10-10z" fill="M"/><path d="M34 46h30" stroke="L" stroke-width="3" '
    'stroke-linecap="round"/>',
    "fish": '<path d="M18 50c16-26 42-24 56 0-14 24-40 26-56 0z" fill="M"/><path d="M70 '
    '50l18-14v28z" fill="D"/><circle cx="34" cy="46" r="4" fill="L"/><path d="M48 36c6 8 6 '
    '20 0 28" stroke="L" stroke-width="3" fill="none"/>',
    "collar": '<circle cx="50" cy="44" r="25" fill="none" stroke="M" stroke-width="10"/><rect '
    'x="42" y="14" width="16" height="12" rx="3" fill="D"/><circle cx="50" cy="78" r="8" '
    'fill="L" stroke="D" stroke-width="3"/>',
    "paw": '<ellipse cx="50" cy="62" rx="19" ry="16" fill="M"/><g fill="D"><ellipse cx="26" '
    'cy="48" rx="7" ry="9"/><ellipse cx="41" cy="32" rx="7" ry="10"/><ellipse cx="59" '
    'cy="32" rx="7" ry="10"/><ellipse cx="74" cy="48" rx="7" ry="9"/></g>',
    "post": '<rect x="24" y="74" width="52" height="9" rx="3" fill="D"/><rect x="41" y="28" '
    'width="18" height="47" fill="M"/><path d="M41 36h18M41 44h18M41 52h18M41 60h18M41 '
    '68h18" stroke="L" stroke-width="2.5"/><rect x="28" y="20" width="44" height="10" rx="5" '
    'fill="D"/>',
    "nest": '<path d="M16 56c0 34 68 34 68 0z" fill="M"/><ellipse cx="50" cy="56" rx="34" '
    'ry="11" fill="D"/><ellipse cx="50" cy="58" rx="26" ry="7" fill="L"/>',
}
# fmt: on
"""The drawings, by name."""

WORDS: Final[dict[str, str]] = {
    word: glyph
    for glyph, words in {
        "pan": "pan skillet griddle",
        "pot": "saucepan casserole stock nesting cookware kitchen",
        "knife": "knife knives blade secateurs scissors saw",
        "board": "board boards chopping",
        "spoon": "spoon ladle spatula servers tongs spork dibber scraper pin cooking",
        "whisk": "whisk wand",
        "tin": "tin loaf dish mould cake baking griller colander charcoal",
        "jar": "jar jars spice spices crock caddy sugar honey preserving catnip salts paprika "
        "pepper curry cinnamon cumin saffron cocoa salt",
        "box": "box bin storage case crate block kit",
        "plate": "plate plates platter frisbee plateware saucer",
        "bowl": "bowl bowls mortar basin bird-bath",
        "mug": "mug mugs cup cups espresso cappuccino tumbler latte",
        "glass": "glass glasses flute glassware goblet",
        "carafe": "carafe jug decanter",
        "cutlery": "cutlery fork forks spoons steak",
        "cloth": "tablecloth cloth cloths napkin placemat placemats runner linen coaster oven "
        "sponge valance",
        "pouch": "coffee beans roast blend decaf",
        "leaf": "tea leaves rooibos chai infusion herb herbal peppermint jasmine",
        "kettle": "kettle",
        "teapot": "teapot warmer strainer",
        "press": "press moka grinder dripper brew brewing scale",
        "bottle": "oil vinegar bottle wine ink",
        "pump": "soap-pump wash lotion shampoo conditioner detergent cleaner dispenser liquid "
        "cream descaler mask",
        "packet": "seeds bulbs packet tablets filters filter yeast sachet snacks treats",
        "sack": "flour rice barley couscous lentils buckwheat orzo spaghetti penne pasta grains "
        "soil mulch compost pebbles feed litter",
        "biscuit": "biscuits shortbread snaps crisps wafers crackers cookie cookies",
        "bed": "bed sheet bedroom mattress",
        "pillow": "pillow pillowcase bolster",
        "blanket": "blanket duvet throw quilt bedspread plaid comforter mat topper bivouac tarp",
        "shirt": "shirt pyjama nightshirt nightwear gown shorts dress t-shirt",
        "jacket": "jacket coat poncho shell rainwear trousers",
        "sock": "sock socks slippers stocking",
        "lamp": "lamp light lights shade lantern pendant lamps bulb",
        "torch": "torch whistle flashlight",
        "clock": "clock alarm watch timer",
        "towel": "towel towels hammam bath face",
        "soap": "soap bar eraser",
        "brush": "brush brushes shaving toothbrush rake broom",
        "basket": "basket hamper laundry picnic pannier",
        "mirror": "mirror",
        "frame": "frame picture poster print pin",
        "cushion": "cushion cushions pouffe seat velvet",
        "rug": "rug rugs doormat door flatweave",
        "candle": "candle candles t-light tealight incense holder taper",
        "vase": "vase vases flowers flower",
        "stool": "stool table bench side ladder desk",
        "shelf": "shelf rack bookend perch climbing",
        "plant": "plant planter pots hanging garden window saucer raised",
        "trowel": "trowel gloves spade",
        "can": "watering can",
        "chair": "chair deck hammock swing",
        "parasol": "parasol umbrella",
        "house": "feeder house bird birdhouse cave kennel",
        "fire": "fire grill skewer folding",
        "tent": "tent tents camping",
        "sleeping": "sleeping",
        "pack": "pack backpack rucksack duffel trekking",
        "bag": "bag tote shopper",
        "stove": "stove camp steel",
        "flask": "flask thermos bladder hot",
        "boot": "boot boots shoe shoes",
        "hat": "cap hat beanie",
        "compass": "compass",
        "rope": "rope skipping cord lead cable",
        "notebook": "notebook sketchbook planner pad book journal diary",
        "pencil": "pencil pen pens pencils crayon",
        "tray": "tray organiser caddy-tray file",
        "card": "card cards envelope postcard letter",
        "gift": "gift wrapping wrap ribbon tags present jewellery",
        "paint": "paint watercolour acrylic craft embroidery linocut clay",
        "blocks": "blocks stacking rings sorter toys toy marble",
        "train": "train car truck pull-along",
        "bear": "bear teddy doll puppet rabbit plush cuddle whale soft",
        "puzzle": "puzzle jigsaw memory",
        "dice": "dice game games domino chess",
        "kite": "kite feather",
        "ball": "ball boules sand",
        "bone": "dog chews puppy dental bone lamb chicken",
        "fish": "cat tuna kitten turkey indoor bites creamy fish",
        "collar": "collar harness",
        "paw": "pet pets paw",
        "post": "post scratching",
        "nest": "nest orthopaedic",
    }.items()
    for word in words.split()
}
"""Which drawing a word of a title or a category calls for."""

PAIRS: Final[dict[str, str]] = {
    "rolling pin": "spoon",
    "sleeping bag": "sleeping",
    "sleeping mat": "blanket",
    "bivouac bag": "sleeping",
    "door mat": "rug",
    "bath mat": "towel",
    "bath sheet": "towel",
    "raised bed": "plant",
    "pet bed": "nest",
    "cat cave": "nest",
    "house espresso": "pouch",
    "shower oil": "pump",
    "beard oil": "bottle",
    "bird feeder": "house",
    "fire bowl": "fire",
    "fire steel": "stove",
    "toy kitchen": "blocks",
    "throw toy": "ball",
    "camp pillow": "pillow",
    "window box": "plant",
    "picnic rug": "blanket",
    "travel blanket": "blanket",
    "reading light": "lamp",
    "camp lantern": "lamp",
    "garden lantern": "lamp",
    "lantern candle": "candle",
    "paper filters": "packet",
    "wood litter": "sack",
    "card game": "puzzle",
    "memory game": "puzzle",
    "cushion refill": "cushion",
    "cooler box": "box",
    "plant feed": "pump",
    "soap dish": "soap",
    "tea tray": "tray",
}
"""Two words that together call for a drawing neither calls for alone."""

NATURAL: Final[dict[str, str]] = {
    "biscuit": "#c0935a",
    "leaf": "#6d9a5c",
    "pouch": "#80604c",
    "sack": "#c2a26c",
    "bone": "#cbb389",
    "fish": "#6f9db3",
    "jar": "#b5724a",
}
"""What colour things have that are sold in none; each is varied a little from item to item."""

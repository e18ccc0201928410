"""Messages: a slate each for many shoppers, by mail, push or webhook, and only where they may go.

Who gets one has allowed messages, is meant by the campaign's segment, has an address, and has had
fewer than the week's most. No item goes to the same shopper twice within the days set. Every
message is recorded as a slate shown on the surface ``messages``, under an id made of campaign and
shopper: that record is what makes a campaign idempotent, and what the caps count.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Annotated, Any, Final, Protocol

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from habitue.errors import BadInput, BadSetting
from habitue.facts import MS_PER_DAY, NO_ROW, ActionKind, Shown, ShownBody
from habitue.facts.time import shop_hours
from habitue.policy.filters import SHOPPER_FIELDS, Expression, Scalar, fields_of, matches
from habitue.policy.reading import parse_filter
from habitue.privacy.secret_files import locked
from habitue.slates.live import Asked
from habitue.store.contract import FactStore
from habitue.surfaces.compose import ARM, Batch, Surfaces
from habitue.surfaces.config import MessagesConfig
from habitue.surfaces.letters import Letters, Offered
from habitue.surfaces.outbox import Message, Outbox, Port, open_port
from habitue.surfaces.unsubscribe import unsubscribe_token

__all__ = ["Campaign", "Messenger", "Progress", "Sent"]

Progress = Callable[[str, float, float], None]

_SURFACE: Final = "messages"
_BATCH: Final = 256
_WEEK_MS: Final = 7 * MS_PER_DAY
_HOUR_MS: Final = 3_600_000
_SHOWN: Final = ("id", "at_ms", "shopper_row", "surface", "body")
_ACTED: Final = ("at_ms", "kind", "shopper_row")
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_decode_body: Final = msgspec.json.Decoder(ShownBody).decode


class Campaign(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True
):
    """What is sent to whom. Sent again under the same id, it goes on and never doubles."""

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    """Letters, digits, ``.``, ``_`` and ``-``."""
    subject: Annotated[str, msgspec.Meta(max_length=1_000)]
    text: Annotated[str, msgspec.Meta(max_length=100_000)]
    html: Annotated[str, msgspec.Meta(max_length=500_000)] | None = None
    segment: Annotated[str, msgspec.Meta(max_length=2_000)] | None = None
    """Only shoppers this filter holds of; nobody is left out without one."""
    surface: Annotated[str, msgspec.Meta(max_length=100)] = _SURFACE
    """Which surface's slate it carries."""
    filter: Annotated[str, msgspec.Meta(max_length=2_000)] | None = None
    """Only items this filter holds of."""
    n: Annotated[int, msgspec.Meta(ge=1, le=50)] = 4
    least: Annotated[int, msgspec.Meta(ge=1, le=50)] = 1
    """Who would get fewer items gets nothing."""


class Sent(msgspec.Struct, kw_only=True):
    """What became of a campaign in this run."""

    campaign: str
    sent: int = 0
    refused: int = 0
    """Messages that the mail server or webhook refused for good."""
    skipped: dict[str, int] = {}
    """Shoppers of the segment who got nothing, by reason."""
    until: str | None = None
    """It is quiet now: send the campaign again after this time."""


class _Teller(Protocol):
    """What a messenger asks of the shop beside its surfaces."""

    def append(self, shown: Sequence[Shown]) -> object:
        """Store records of slates, durably."""
        ...

    def describe(self, item_ids: Sequence[str], now_ms: int) -> Sequence[str | None]:
        """Each item's version in force as JSON; ``None`` where there is none."""
        ...


@dataclass(frozen=True, slots=True)
class _Recipient:
    row: int
    id: str
    told: dict[str, Any]  # country, locale, traits


@dataclass(slots=True)
class _Past:
    """What messages said until now."""

    ids: set[str] = field(default_factory=set)
    in_week: Counter[int] = field(default_factory=Counter)  # by shopper row
    items: defaultdict[int, set[int]] = field(default_factory=lambda: defaultdict(set))


class Messenger:
    """Sends campaigns of one shop."""

    def __init__(
        self,
        surfaces: Surfaces,
        store: FactStore,
        teller: _Teller,
        config: MessagesConfig,
        *,
        shop: str,
        time_zone: str,
        key: bytes,
    ) -> None:
        """``shop`` is the shop's name for templates; ``key`` signs links to unsubscribe."""
        self._surfaces = surfaces
        self._store = store
        self._teller = teller
        self._config = config
        self._shop = shop
        self._time_zone = time_zone
        self._key = key

    def send(
        self,
        campaign: Campaign,
        *,
        clock: Callable[[], int],
        rng: np.random.Generator,
        progress: Progress,
    ) -> Sent:
        """Send a campaign, or what is left of it. ``clock`` tells UTC milliseconds.

        Raises ``BadInput`` for a campaign that cannot be read, before anything is sent, and
        ``Unavailable`` where the way out does not answer: then send it again.
        """
        letters, segment = self._read(campaign)
        sent = Sent(campaign=campaign.id, skipped={})
        sent.until = self._quiet_until(clock())
        if sent.until is not None:
            return sent
        folder = self._config.outbox / campaign.id
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        policy = self._surfaces.policy(
            campaign.surface,
            fatigue_shows=1,
            fatigue_days=max(self._config.repeat_days, 1e-9),
            fatigue_damping=0.0,
        )
        try:
            with locked(folder / "campaign"), open_port(self._config) as port:
                run = _Run(self, campaign, letters, Outbox(folder), port, sent, clock)
                run.resume()
                run.go(segment, policy.continued(include=campaign.filter), rng, progress)
        finally:
            policy.close()
        return sent

    def _read(self, campaign: Campaign) -> tuple[Letters, Expression | None]:
        """The templates and the segment of a campaign; raises ``BadInput``."""
        if not _ID.fullmatch(campaign.id):
            raise BadInput(
                f"{campaign.id!r} cannot be a campaign's id.",
                remedy="Use letters, digits, '.', '_' and '-', beginning with a letter or digit.",
                field="id",
            )
        if self._config.channel == "smtp" and not self._config.public_url:
            raise BadSetting(
                "Mail needs a link to unsubscribe, and messages.public_url is empty.",
                remedy="Set it to where shoppers reach this server.",
            )
        segment = None
        if campaign.segment is not None:
            segment = parse_filter(campaign.segment, SHOPPER_FIELDS)
        return Letters(campaign.subject, campaign.text, campaign.html), segment

    def _quiet_until(self, now_ms: int) -> str | None:
        """When messages may leave again; ``None`` where they may now."""
        hours = now_ms // _HOUR_MS * _HOUR_MS + np.arange(25) * _HOUR_MS
        quiet = [self._config.quiet(int(h)) for h in shop_hours(hours, self._time_zone)]
        if not quiet[0]:
            return None
        loud = hours[quiet.index(False)]
        return datetime.fromtimestamp(loud / 1000, UTC).isoformat()

    # ------------------------------------------------------------------ who

    def _allowed(self, rows: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Which shopper rows allow messages."""
        allowed: NDArray[np.bool_] = self._surfaces.shop.people.consent.allowed(rows, _SURFACE)
        return allowed & (rows >= 0)

    def _recipients(self, segment: Expression | None, now_ms: int) -> list[_Recipient]:
        """Everybody who allows messages and is meant, each person once.

        Only they are named and read about: a shop of a million shoppers of whom a thousand allow
        messages holds a thousand names.
        """
        person = self._store.canonical_shoppers()
        rows = np.flatnonzero(person == np.arange(len(person))).astype(np.int32)
        rows = rows[self._allowed(rows)]
        asked = np.zeros(len(person), bool)
        asked[rows] = True
        told = self._told(person, asked)
        names = self._store.ids_of_shoppers(rows)
        meant = [
            _Recipient(row, name, told.get(row, {}))
            for row, name in zip(rows.tolist(), names, strict=True)
            if name is not None
        ]
        if segment is None:
            return meant
        done = self._done(segment, person, now_ms)
        return [one for one in meant if matches(segment, _fields(one, done))]

    def _told(
        self, person: NDArray[np.int32], asked: NDArray[np.bool_]
    ) -> dict[int, dict[str, Any]]:
        """What was told last of each person asked about, by row."""
        latest: dict[int, tuple[int, str]] = {}
        columns = ("shopper_row", "at_ms", "body")
        for table in self._store.scan("shopper", columns=columns):
            about = asked[person[table.column("shopper_row").to_numpy()]]
            mine = table.filter(pa.array(about))
            lines = zip(*(mine.column(name).to_pylist() for name in columns), strict=True)
            for row, at_ms, body in lines:
                who = int(person[row])
                if who not in latest or at_ms >= latest[who][0]:
                    latest[who] = at_ms, body
        return {who: msgspec.json.decode(body) for who, (_, body) in latest.items()}

    def _done(
        self, segment: Expression, person: NDArray[Any], now_ms: int
    ) -> dict[str, NDArray[Any]]:
        """What each person has done, by row, as far as the segment asks."""
        asked = set(fields_of(segment)) & SHOPPER_FIELDS.number
        if not asked:
            return {}
        last = np.full((2, len(person)), -1, np.int64)
        purchases = np.zeros(len(person))
        for table in self._store.scan("action", columns=_ACTED):
            at_ms, kind, row = (table.column(name).to_numpy() for name in _ACTED)
            who, bought = person[row], kind == int(ActionKind.purchase)
            np.maximum.at(last[0], who, at_ms)
            np.maximum.at(last[1], who[bought], at_ms[bought])
            np.add.at(purchases, who[bought], 1)
        days = np.where(last >= 0, (now_ms - last) / MS_PER_DAY, np.nan)
        return {
            "days_since_action": days[0],
            "days_since_purchase": days[1],
            "purchases": purchases,
        }

    def _past(self, now_ms: int) -> _Past:
        """Messages sent before: one reading of the slates shown."""
        past, person = _Past(), self._store.canonical_shoppers()
        items_since = now_ms - self._config.repeat_days * MS_PER_DAY
        rows_of = self._surfaces.shop.items.rows
        for table in self._store.scan("shown", columns=_SHOWN):
            mine = table.filter(pc.equal(table.column("surface"), _SURFACE))
            lines = zip(*(mine.column(name).to_pylist() for name in _SHOWN), strict=True)
            for name, at_ms, row, _, body in lines:
                past.ids.add(name)
                if row is None or row < 0:
                    continue
                who = int(person[row])
                past.in_week[who] += at_ms > now_ms - _WEEK_MS
                if at_ms > items_since:
                    past.items[who].update(rows_of(_decode_body(body).items))
        return past


class _Run:
    """One run of one campaign."""

    def __init__(
        self,
        messenger: Messenger,
        campaign: Campaign,
        letters: Letters,
        outbox: Outbox,
        port: Port,
        sent: Sent,
        clock: Callable[[], int],
    ) -> None:
        self.messenger = messenger
        self.campaign = campaign
        self.letters = letters
        self.outbox = outbox
        self.port = port
        self.sent = sent
        self.clock = clock

    def resume(self) -> None:
        """Let out what an earlier run wrote down; who has said no since gets nothing."""
        store = self.messenger._store
        for path in self.outbox.waiting():
            messages = self.outbox.read(path)
            rows = store.shopper_rows([one.shopper for one in messages])
            allowed = self.messenger._allowed(rows)
            kept = [one for one, still in zip(messages, allowed, strict=True) if still]
            self.messenger._teller.append([one.shown for one in kept])
            self._deliver(path.stem, kept)

    def go(
        self,
        segment: Expression | None,
        policy: Any,
        rng: np.random.Generator,
        progress: Progress,
    ) -> None:
        """Everybody who has not had it, batch by batch."""
        messenger, now_ms = self.messenger, self.clock()
        meant = messenger._recipients(segment, now_ms)
        past = messenger._past(now_ms)
        due = [one for one in meant if not self._skipped(one, past)]
        progress("sending", 0, len(due))
        for start in range(0, len(due), _BATCH):
            now_ms = self.clock()
            self.sent.until = messenger._quiet_until(now_ms)
            if self.sent.until is not None:
                return
            some = due[start : start + _BATCH]
            asked = [
                Asked(self.campaign.surface, now_ms, one.id, locale=one.told.get("locale"))
                for one in some
            ]
            shown = [sorted(past.items[one.row]) for one in some]
            batch = messenger._surfaces.many(asked, self.campaign.n, policy, shown, rng)
            messages = list(self._messages(some, batch, now_ms))
            if messages:
                self._deliver(f"{now_ms}-{start:08d}", messages, fresh=True)
            progress("sending", start + len(some), len(due))

    def _skipped(self, one: _Recipient, past: _Past) -> bool:
        """Whether somebody who is meant gets nothing; counted by reason."""
        why = ""
        if _message_id(self.campaign.id, one.id) in past.ids:
            why = "already_sent"
        elif not self._address(one):
            why = "no_address"
        elif past.in_week[one.row] >= self.messenger._config.per_week:
            why = "weekly_cap"
        if why:
            self._skip(why)
        return bool(why)

    def _skip(self, why: str) -> None:
        self.sent.skipped[why] = self.sent.skipped.get(why, 0) + 1

    def _address(self, one: _Recipient) -> str:
        told = (one.told.get("traits") or {}).get(self.messenger._config.address_trait)
        return told.strip() if isinstance(told, str) else ""

    def _messages(self, some: Sequence[_Recipient], batch: Batch, now_ms: int) -> Iterator[Message]:
        """The message to each; who would get too little is skipped."""
        slates, id_of = batch.slates, self.messenger._surfaces.shop.items.id
        rows = slates.item_row.tolist()
        named = sorted({id_of(row) for line in rows for row in line if row != NO_ROW})
        offered = self._offered(named, now_ms)
        for b, (one, line) in enumerate(zip(some, rows, strict=True)):
            filled = [slot for slot, row in enumerate(line) if row != NO_ROW]
            if len(filled) < self.campaign.least:
                self._skip("nothing_to_show")
                continue
            items = [id_of(line[slot]) for slot in filled]
            shown = Shown(
                id=_message_id(self.campaign.id, one.id),
                at=now_ms,
                shopper=one.id,
                surface=_SURFACE,
                snapshot=batch.snapshot,
                arm=ARM,
                items=items,
                scores=[float(slates.score[b, slot]) for slot in filled],
                propensities=[float(slates.propensity[b, slot]) for slot in filled],
                sources=[slates.source_name(b, slot) for slot in filled],
                fallback=batch.seen[b].fallback,
            )
            told = [
                msgspec.structs.replace(offered[item], reason=batch.reason[b][slot])
                for item, slot in zip(items, filled, strict=True)
            ]
            yield self._message(one, shown, told)

    def _message(self, one: _Recipient, shown: Shown, items: Sequence[Offered]) -> Message:
        config = self.messenger._config
        link = ""
        if config.public_url:
            token = unsubscribe_token(one.id, self.messenger._key)
            link = f"{config.public_url.rstrip('/')}/v1/unsubscribe?token={token}"
        shopper = {
            "id": one.id,
            "country": one.told.get("country") or "",
            "locale": one.told.get("locale") or "",
            "traits": one.told.get("traits") or {},
        }
        letter = self.letters.letter(
            shop=self.messenger._shop, shopper=shopper, items=items, unsubscribe=link
        )
        return Message(
            id=shown.id,
            campaign=self.campaign.id,
            shopper=one.id,
            to=self._address(one),
            letter=letter,
            unsubscribe=link,
            shown=shown,
        )

    def _offered(self, ids: Sequence[str], now_ms: int) -> dict[str, Offered]:
        """Items as templates see them, by id."""
        live = self.messenger._surfaces.shop
        bodies = self.messenger._teller.describe(ids, now_ms)
        return {
            one: _offer(one, live.items.title(live.item_row(one)), body)
            for one, body in zip(ids, bodies, strict=True)
        }

    def _deliver(self, name: str, messages: Sequence[Message], *, fresh: bool = False) -> None:
        """Write a batch down, record it, let it out."""
        path = self.outbox.put(name, messages)
        if fresh:
            self.messenger._teller.append([one.shown for one in messages])
        left, refused = self.outbox.deliver(path, self.port, messages)
        self.sent.sent += left
        self.sent.refused += refused


def _message_id(campaign: str, shopper: str) -> str:
    """The id of the message of a campaign to a shopper, and of the slate in it."""
    mixed = blake2b(f"{campaign}\0{shopper}".encode(), digest_size=12).hexdigest()
    return f"message-{campaign}-{mixed}"


def _fields(one: _Recipient, done: dict[str, NDArray[Any]]) -> dict[str, Scalar]:
    """A shopper's fields as segments read them."""
    fields: dict[str, Scalar] = {"id": one.id}
    for name in ("country", "locale"):
        fields[name] = one.told.get(name)
    for name, value in (one.told.get("traits") or {}).items():
        fields[f"traits.{name}"] = value
    for name, column in done.items():
        value = float(column[one.row])
        fields[name] = None if np.isnan(value) else value
    return fields


def _offer(item_id: str, title: str, body: str | None) -> Offered:
    told = {} if body is None else msgspec.json.decode(body)
    micros = told.get("sale_price_micros", told.get("price_micros"))
    return Offered(
        id=item_id,
        title=title,
        link=told.get("link") or "",
        image_link=told.get("image_link") or "",
        brand=told.get("brand") or "",
        price=None if micros is None else micros / 1e6,
        currency=told.get("currency") or "",
    )

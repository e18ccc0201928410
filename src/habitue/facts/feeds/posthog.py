"""What PostHog's SDKs capture as facts; e-commerce events go by Segment's names.

An event is known by its ``uuid`` however often it is sent. A ``distinct_id`` that the browser made
up is an anonymous visitor; one that a server gives, or that ``$identify`` names, is the shop's own.

Source: https://posthog.com/docs/api/capture
"""

from __future__ import annotations

import re
from typing import Any, Final

from habitue.errors import BadInput
from habitue.facts.facts import Fact
from habitue.facts.feeds.habitue_json import Decoded
from habitue.facts.feeds.segment import commerce_of, kind_of
from habitue.facts.feeds.tracked import (
    Gathering,
    Skipped,
    Terms,
    Who,
    Wrong,
    shopper_of,
    text,
    when,
)
from habitue.facts.kinds import ActionKind

__all__ = ["decode_posthog", "messages_of", "project_key"]

_MADE_UP: Final = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE
).fullmatch
"""The UUIDs of version 7 that the browser's SDK makes up for its visitors."""

_VIEWS: Final = frozenset({"$pageview", "$screen"})


def messages_of(said: object) -> list[object]:
    """The events of a body: a batch, a list of them, or one alone; raises ``BadInput``."""
    if isinstance(said, list):
        return said
    if isinstance(said, dict):
        batch = said.get("batch")
        return [said] if batch is None else batch if isinstance(batch, list) else []
    raise BadInput("The body holds no events.", remedy='Send {"api_key": "...", "batch": [...]}.')


def project_key(said: object) -> str:
    """The key a body carries, empty where it carries none."""
    first = said[0] if isinstance(said, list) and said else said
    if not isinstance(first, dict):
        return ""
    properties = _mapping(first.get("properties"))
    names = (first.get("api_key"), first.get("token"), first.get("$token"), properties.get("token"))
    return next((key for name in names if (key := text(name))), "")


def decode_posthog(said: object, terms: Terms) -> Decoded:
    """Facts of a body, read as JSON; a ``BadRow`` counts events from 0.

    Raises ``BadInput`` when the body holds no events at all.

    >>> told = decode_posthog({"api_key": "k", "batch": [{
    ...     "event": "Product Viewed", "distinct_id": "u1", "uuid": "e1",
    ...     "properties": {"product_id": "mug"}}]}, Terms(1_700_000_000_000))
    >>> [(action.kind, action.shopper, action.item) for action in told.facts]
    [('view_item', 'u1', 'mug')]
    """
    messages = messages_of(said)
    body = _mapping(said)
    sent = body.get("sent_at") or body.get("sentAt")

    def facts_of(message: dict[str, Any]) -> list[Fact]:
        return _Event(message, terms, message.get("sent_at") or sent).facts()

    return Gathering(terms).read(messages, facts_of)


class _Event:
    """One captured event."""

    def __init__(self, said: dict[str, Any], terms: Terms, sent: object) -> None:
        self.said, self.terms, self.sent = said, terms, sent
        self.properties = _mapping(said.get("properties"))
        self.device = text(self.properties.get("$device_id"))
        self.name = text(said.get("event")) or ""
        named = said.get("distinct_id") or said.get("$distinct_id")
        self.distinct = text(named or self.properties.get("distinct_id"))

    def facts(self) -> list[Fact]:
        """The facts of the event; raises ``Wrong`` and ``Skipped``."""
        if not self.name:
            raise Wrong("event", "an event needs a name")
        if self.distinct is None:
            raise Wrong("distinct_id", "the event names nobody")
        if self.name == "$identify":
            who = self.terms.who(
                self.distinct, text(self.properties.get("$anon_distinct_id")), "distinct_id"
            )
            return [*self._person(who), *who.alias()]
        if self.name == "$create_alias":
            return self._alias(self.distinct)
        if self.name == "$set":
            return self._person(self._who(self.distinct))
        return self._happened(self._who(self.distinct))

    def _happened(self, who: Who) -> list[Fact]:
        kind = ActionKind.page_view if self.name in _VIEWS else kind_of(self.name)
        if kind is None:
            raise Skipped(self.name)
        identity = text(self.said.get("uuid")) or text(self.properties.get("$insert_id"))
        event = commerce_of(
            kind, {} if self.name in _VIEWS else self.properties, who,
            times=self._times(),
            key=None if identity is None else ("posthog", identity),
            said={
                "locale": text(self.properties.get("$browser_language")),
                "device": text(self.properties.get("$device_type")),
                "platform": text(self.properties.get("$lib")),
                "session_id": text(self.properties.get("$session_id")),
            },
        )  # fmt: skip
        return [*self._person(who), *event.facts(self.terms)]

    def _who(self, distinct: str) -> Who:
        """The visitor of an id that was made up, else the user; the device stands in for them."""
        if self._is_made_up(distinct):
            return self.terms.who(None, distinct, "distinct_id")
        return Who(self.terms.who(distinct, self.device, "distinct_id").shopper)

    def _is_made_up(self, distinct: str) -> bool:
        said = self.properties
        return (
            distinct == self.device
            or said.get("$is_identified") is False
            or said.get("$user_state") == "anonymous"
            or _MADE_UP(distinct) is not None
        )

    def _alias(self, distinct: str) -> list[Fact]:
        """The SDKs name the id known before as ``distinct_id``, the browser's as ``alias``."""
        other = text(self.properties.get("alias"))
        if other is None:
            raise Wrong("properties.alias", "an alias needs the other id")
        user, before = (distinct, other) if _MADE_UP(other) else (other, distinct)
        browser = self.terms.speaks_for is not None and not self.terms.speaks_for(before)
        if _MADE_UP(before) or browser:
            before = self.terms.anonymous(before)
        if self.terms.speaks_for is not None and not self.terms.speaks_for(user):
            raise Wrong("distinct_id", "a browser key does not speak for a user")
        return Who(user, before if before != user else None).alias()

    def _person(self, who: Who) -> list[Fact]:
        """What ``$set`` says of the person, on the event or in its properties."""
        once = _mapping(self.properties.get("$set_once")) | _mapping(self.said.get("$set_once"))
        said = once | _mapping(self.properties.get("$set")) | _mapping(self.said.get("$set"))
        country, locale = text(said.pop("country", None)), text(said.pop("locale", None))
        return shopper_of(who.shopper, country, locale, said)

    def _times(self) -> tuple[int | None, int]:
        said = self.said.get("timestamp") or self.properties.get("timestamp")
        offset = self.said.get("offset")
        if said is None and isinstance(offset, int) and 0 <= offset < self.terms.now_ms:
            return self.terms.now_ms - offset, 0
        return when(said, self.sent, self.terms, "timestamp")


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}

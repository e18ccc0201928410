"""May this caller do this, here, now? Keys, scopes, origins, shopper tokens and rates."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from habitue.api.ask import Ask
from habitue.api.contract import Keys, Tokens
from habitue.api.problems import Problem
from habitue.api.rates import Buckets
from habitue.errors import Refused, Unauthorised
from habitue.privacy import Caller, Scope
from habitue.settings import LimitSettings, ServerSettings

__all__ = ["Gate", "is_loopback"]

_RANK: Final = {"browser": 0, "server": 1, "admin": 2}
_LOCAL: Final = Caller("loopback", "admin")
_HOW: Final = "Send it as `Authorization: Bearer KEY` or `X-API-Key: KEY`."
_LEAST_RANDOM: Final = 16  # characters after the prefix of an anonymous id


class Gate:
    """Lets callers in. Without any key, whoever is on this machine may do everything."""

    def __init__(
        self, keys: Keys, tokens: Tokens, server: ServerSettings, limits: LimitSettings
    ) -> None:
        self._keys = keys
        self._tokens = tokens
        self._origins = frozenset(origin.rstrip("/").lower() for origin in server.cors_origins)
        self._prefix = server.anonymous_prefix
        remembered = limits.remembered_callers
        self._browsers = Buckets(
            per_second=limits.browser_per_second,
            burst=limits.browser_burst,
            remembered=remembered,
        )
        self._servers = Buckets(
            per_second=limits.server_per_second, burst=limits.server_burst, remembered=remembered
        )
        self._failures = Buckets(
            per_second=limits.failed_keys_per_second,
            burst=limits.failed_keys_burst,
            remembered=remembered,
        )

    def admit(self, ask: Ask, needs: Scope, now: float, key: str | None = None) -> None:
        """Note on ``ask`` who calls; raises when they may not, or not so often.

        ``now`` is in seconds of a clock that never runs backwards. ``key`` was found where a
        tracker's protocol puts it; without one it is looked for where ours does.
        """
        if not len(self._keys):
            self._admit_local(ask)
            return
        ask.caller = caller = self._caller(ask, now) if key is None else self._known(ask, key, now)
        if _RANK[caller.scope] < _RANK[needs]:
            raise Refused(
                f"The key {caller.name} has the scope {caller.scope}; this needs {needs}.",
                remedy="Use a key made for it: `habitue keys create`.",
            )
        if caller.scope == "browser":
            self._admit_browser(ask, now)
        else:
            _hold(self._servers.wait(caller.name, now))

    def check_shopper(self, ask: Ask, shopper: str | None) -> None:
        """A browser speaks only for the shopper of its token, or for an anonymous id."""
        if shopper is None or self.speaks_for(ask, shopper):
            return
        raise Refused(
            "A browser key speaks only for the shopper of its token.",
            remedy=f"Send the token your server signed as X-Shopper-Token, or an anonymous id: "
            f"{self._prefix} and {_LEAST_RANDOM} or more random characters.",
        )

    def speaks_for(self, ask: Ask, shopper: str) -> bool:
        """Whether the caller may speak for this shopper."""
        if ask.caller.scope != "browser" or shopper == ask.shopper:
            return True
        prefix = self._prefix
        return shopper.startswith(prefix) and len(shopper) >= len(prefix) + _LEAST_RANDOM

    def origin_allowed(self, ask: Ask) -> bool:
        """Whether the page that calls (if one does) belongs to the shop."""
        origin = ask.header(b"origin").lower()
        if not origin or origin in self._origins:
            return True
        site = origin.partition("://")[2]
        if site and site == ask.header(b"host").lower():
            return True
        return not len(self._keys) and is_loopback(_host_of(site))

    def _admit_local(self, ask: Ask) -> None:
        if not is_loopback(_host_of(ask.header(b"host"))) or not self.origin_allowed(ask):
            raise Refused(
                "Without an API key only pages and programs of this machine may call.",
                remedy="Make a key with `habitue keys create`, or call http://127.0.0.1.",
            )
        ask.caller = _LOCAL

    def _admit_browser(self, ask: Ask, now: float) -> None:
        if not self.origin_allowed(ask):
            raise Refused(
                "This page's site may not use the shop's browser key.",
                remedy="Name the site in server.cors_origins.",
            )
        _hold(self._browsers.wait(f"{ask.caller.name} {ask.address}", now))
        token = ask.header(b"x-shopper-token") or ask.query("token")
        if token:
            ask.shopper = self._tokens.shopper_of(token, ask.now_ms)

    def _caller(self, ask: Ask, now: float) -> Caller:
        bearer = ask.header(b"authorization")
        key = ask.header(b"x-api-key")
        if not key and bearer[:7].lower() == "bearer ":
            key = bearer[7:].strip()
        in_address = "" if key else ask.query("key")
        if not key and not in_address:
            raise Unauthorised("No API key was sent.", remedy=_HOW)
        caller = self._known(ask, key or in_address, now)
        if in_address and caller.scope != "browser":
            raise Unauthorised(
                "Only a browser key may stand in the address.",
                remedy="Addresses end up in logs: send this key in a header, and replace it.",
            )
        return caller

    def _known(self, ask: Ask, key: str, now: float) -> Caller:
        caller = self._keys.find(key, ask.now_ms)
        if caller is None:
            # only the wrong keys wait: who shares the address with a guesser goes on
            _hold(self._failures.wait(ask.address, now))
            raise Unauthorised("The API key is wrong.", remedy=_HOW)
        return caller


@lru_cache(maxsize=1024)
def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine only.

    >>> [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "a.example")]
    [True, True, True, False, False]
    """
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


@lru_cache(maxsize=1024)
def _host_of(header: str) -> str:
    """The name in a Host header, without its port."""
    try:
        return urlsplit("//" + header).hostname or ""
    except ValueError:
        return ""


def _hold(wait_seconds: float) -> None:
    if wait_seconds > 0:
        raise Problem(
            429,
            "too-many-requests",
            "More requests than this caller may make.",
            remedy="Wait as long as Retry-After says, and send larger batches.",
            headers=((b"retry-after", b"%d" % max(1, round(wait_seconds + 0.5))),),
        )

"""A browser speaks for the shopper whom the shop's server signed for, until the token expires."""

import base64
import hashlib
import hmac
import json
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from habitue.errors import BadInput, BadSetting, Unauthorised
from habitue.privacy.tokens import FollowedTokens, ShopperTokens

NOW = 1_700_000_000_000
HOUR = 3_600_000
TOKENS = ShopperTokens({"k1": bytes(range(32))}, "k1")


@given(st.text(min_size=1, max_size=60))
def test_what_was_signed_is_read(shopper: str) -> None:
    try:
        shopper.encode()
    except UnicodeEncodeError:
        return
    token = TOKENS.sign(shopper, expires_ms=NOW + HOUR)
    assert TOKENS.shopper_of(token, NOW) == shopper


def _by_hand(payload: str, secret: bytes = bytes(range(32)), key_id: str = "k1") -> str:
    """A token as a shop's server makes it, by the published recipe and nothing of ours."""

    def text(content: bytes) -> str:
        return base64.urlsafe_b64encode(content).decode().rstrip("=")

    signed = f"hbt1.{key_id}.{text(payload.encode())}"
    return f"{signed}.{text(hmac.new(secret, signed.encode(), hashlib.sha256).digest())}"


def test_a_token_made_by_the_recipe_is_read() -> None:
    said = json.dumps({"shopper": "anna", "expires": NOW // 1000 + 60})
    assert TOKENS.shopper_of(_by_hand(said), NOW) == "anna"


def test_a_token_ends_with_its_time() -> None:
    token = TOKENS.sign("anna", expires_ms=NOW)
    assert TOKENS.shopper_of(token, NOW - 1) == "anna"
    with pytest.raises(Unauthorised, match="expired"):
        TOKENS.shopper_of(token, NOW)


@pytest.mark.parametrize(
    "token",
    [
        "",
        "hbt1",
        "hbt1.k1.x",
        "hbt2.k1.e30.AAAA",
        "a.b.c.d.e",
        "hbt1.k1.." + "A" * 43,
        "hbt1.k9.e30.AAAA",
        "x" * 5000,
        "hbt1.k1.é.ü",
    ],
)
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(Unauthorised):
        TOKENS.shopper_of(token, NOW)


def test_a_changed_token_is_refused() -> None:
    token = TOKENS.sign("anna", expires_ms=NOW + HOUR)
    for place in range(len(token)):
        other = "A" if token[place] != "A" else "B"
        changed = token[:place] + other + token[place + 1 :]
        with pytest.raises(Unauthorised):
            TOKENS.shopper_of(changed, NOW)


def test_one_signature_has_one_text() -> None:
    token = TOKENS.sign("anna", expires_ms=NOW + HOUR)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    genuine = [last for last in alphabet if _reads(token[:-1] + last)]
    assert genuine == [token[-1]]  # four letters decode to the same bytes there
    assert not _reads(token[:-4] + "!" + token[-4:])


def test_a_padded_signature_is_read() -> None:
    assert _reads(TOKENS.sign("anna", expires_ms=NOW + HOUR) + "=")


def _reads(token: str) -> bool:
    try:
        TOKENS.shopper_of(token, NOW)
    except Unauthorised:
        return False
    return True


def test_signed_nonsense_is_refused() -> None:
    for payload in ("{}", "[]", '{"shopper": "", "expires": 9999999999}', '{"shopper": "a"}', "x"):
        with pytest.raises(Unauthorised, match="cannot be read"):
            TOKENS.shopper_of(_by_hand(payload), NOW)


def test_another_secret_or_an_unknown_one_signs_nothing() -> None:
    said = json.dumps({"shopper": "anna", "expires": NOW // 1000 + 60})
    with pytest.raises(Unauthorised, match="signature"):
        TOKENS.shopper_of(_by_hand(said, b"x" * 32), NOW)
    with pytest.raises(Unauthorised, match="signature"):
        TOKENS.shopper_of(_by_hand(said, bytes(32), "k9"), NOW)


def test_a_shopper_has_a_name() -> None:
    for wrong in ("", "x" * 201):
        with pytest.raises(BadInput):
            TOKENS.sign(wrong, expires_ms=NOW)


def test_secrets_live_in_a_file_of_the_owner_and_change_without_a_gap(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    first = ShopperTokens.open(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    token = first.sign("anna", expires_ms=NOW + HOUR)
    assert ShopperTokens.open(path).shopper_of(token, NOW) == "anna"
    second = ShopperTokens.rotate(path)
    assert second.shopper_of(token, NOW) == "anna"
    assert second.signing_secret[0] == "k2" != first.signing_secret[0]
    third = ShopperTokens.rotate(path)
    assert third.shopper_of(second.sign("ben", expires_ms=NOW + HOUR), NOW) == "ben"
    with pytest.raises(Unauthorised):
        third.shopper_of(token, NOW)


def test_a_damaged_secret_file_says_so(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    for content in (b"{", b'{"signing": "k1", "secrets": {}}'):
        path.write_bytes(content)
        path.chmod(0o600)
        with pytest.raises(BadSetting):
            ShopperTokens.open(path)
    with pytest.raises(BadSetting):
        ShopperTokens.rotate(tmp_path / "nothing.json")


def test_a_running_server_follows_a_rotation(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    server = FollowedTokens(path)
    before = server.sign("anna", expires_ms=NOW + HOUR)
    after = ShopperTokens.rotate(path).sign("anna", expires_ms=NOW + HOUR)
    assert server.shopper_of(before, NOW) == server.shopper_of(after, NOW) == "anna"
    ShopperTokens.rotate(path)
    assert server.shopper_of(after, NOW) == "anna"
    with pytest.raises(Unauthorised):
        server.shopper_of(before, NOW)
    path.unlink()
    assert server.shopper_of(after, NOW) == "anna"

"""Messages go to those who allow them, once, in time, and end when they are told to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from habitue.app import Shop, open_shop
from habitue.app.messaging import send_messages, unsubscribe, unsubscribe_key
from habitue.errors import BadFilter, BadInput, BadSetting, Unauthorised, Unavailable
from habitue.facts import Action, Alias, Consent, Item, Shopper
from habitue.surfaces import outbox as outboxes
from habitue.surfaces.config import MessagesConfig
from habitue.surfaces.letters import Letters, Offered
from habitue.surfaces.messages import Campaign, Sent
from habitue.surfaces.unsubscribe import shopper_of, unsubscribe_token
from tests.surfaces.sinks import mail_sink, webhook_sink

DAY, HOUR = 86_400_000, 3_600_000
NOON = 1_700_000_000_000 // DAY * DAY + 12 * HOUR
PEOPLE = ("ana", "bob", "cem", "dua")
TEXT = "{% for item in items %}{{ item.id }} {% endfor %}"


def campaign(name: str = "spring", **fields: Any) -> Campaign:
    return Campaign(**{"id": name, "subject": "For {{ shopper.id }}", "text": TEXT, **fields})


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., Shop]]:
    """Opens a shop of twenty items and four shoppers who allow messages."""
    shops: list[Shop] = []

    def one(*, zone: str = "UTC", **messages: object) -> Shop:
        told = {
            "clock.time_zone": zone,
            "shop.name": "Jam & Co",
            "server.slate_budget_ms": 10_000,
            "surfaces.messages.rules.epsilon": 0.0,
            "live.max_shoppers": 1_000,
            **{f"messages.{name}": value for name, value in messages.items()},
        }
        shop = open_shop(tmp_path / "shop.db", overrides=told)
        shops.append(shop)
        if shop.stored().n_items:
            return shop
        shop.ingest(
            [
                Item(
                    id=f"i{x:02}",
                    title=f"Jam <{x}>",
                    link=f"https://jam.example/{x}",
                    price_micros=1_500_000 * (x + 1),
                    currency="EUR",
                    valid_from=NOON - 90 * DAY,
                )
                for x in range(20)
            ]
        )
        shop.ingest(
            [
                Shopper(id=who, country="DE", at=NOON - DAY, traits={"email": f"{who}@jam.example"})
                for who in PEOPLE
            ]
        )
        shop.ingest([Consent(shopper=who, granted=["messages"], at=NOON - DAY) for who in PEOPLE])
        shop.ingest(
            [Action(kind="view_item", shopper=who, item="i01", at=NOON - DAY) for who in PEOPLE]
        )
        return shop

    yield one
    for shop in shops:
        shop.close()


def send(shop: Shop, told: Campaign, at_ms: int = NOON) -> Sent:
    return send_messages(shop.parts, told, progress=lambda *_: None, clock=lambda: at_ms, seed=1)


def done(tmp_path: Path, name: str = "spring") -> list[dict[str, Any]]:
    """What lies in the outbox of a campaign."""
    folder = tmp_path / "shop.outbox" / name / "done"
    return [
        msgspec.json.decode(line)
        for path in sorted(folder.glob("*.jsonl"))
        for line in path.read_bytes().splitlines()
    ]


def shown(shop: Shop) -> list[tuple[str, str, int]]:
    """Id, surface and number of items of each slate stored."""
    return [
        (line["id"], line["surface"], len(msgspec.json.decode(line["body"])[0]))
        for table in shop.parts.store.scan("shown", columns=("id", "surface", "body"))
        for line in table.to_pylist()
    ]


def test_everybody_who_allows_messages_gets_a_slate(
    opened: Callable[..., Shop], tmp_path: Path
) -> None:
    shop = opened()
    shop.ingest([Consent(shopper="bob", denied=["messages"], at=NOON)])
    shop.ingest([Shopper(id="eve", traits={"email": "eve@jam.example"})])  # never asked
    sent = send(shop, campaign(n=3))
    assert (sent.sent, sent.refused, sent.skipped, sent.until) == (3, 0, {}, None)
    letters = done(tmp_path)
    assert [one["to"] for one in letters] == [f"{who}@jam.example" for who in ("ana", "cem", "dua")]
    assert letters[0]["letter"]["subject"] == "For ana"
    assert all(len(one["letter"]["text"].split()) == 3 for one in letters)
    assert sorted(shown(shop)) == sorted((one["id"], "messages", 3) for one in letters)
    assert all(one["shown"]["propensities"] == [1.0, 1.0, 1.0] for one in letters)


def test_a_campaign_sent_again_doubles_nothing(opened: Callable[..., Shop], tmp_path: Path) -> None:
    shop = opened()
    assert send(shop, campaign()).sent == 4
    again = send(shop, campaign(), NOON + HOUR)
    assert (again.sent, again.skipped) == (0, {"already_sent": 4})
    assert len(done(tmp_path)) == 4


def test_no_item_goes_to_a_shopper_twice_within_the_days(
    opened: Callable[..., Shop], tmp_path: Path
) -> None:
    shop = opened(repeat_days=10, per_week=9)
    for step in range(3):
        send(shop, campaign(f"c{step}", n=6), NOON + step * HOUR)
    assert send(shop, campaign("c3", n=6), NOON + 3 * HOUR).sent == 4
    per_shopper: dict[str, list[str]] = {}
    for step in range(4):
        for one in done(tmp_path, f"c{step}"):
            per_shopper.setdefault(one["shopper"], []).extend(one["shown"]["items"])
    assert all(len(items) == len(set(items)) == 20 for items in per_shopper.values())
    nothing = send(shop, campaign("c4"), NOON + 4 * HOUR)
    assert (nothing.sent, nothing.skipped) == (0, {"nothing_to_show": 4})
    assert send(shop, campaign("c5"), NOON + 11 * DAY).sent == 4


def test_nobody_gets_more_than_the_weeks_most(opened: Callable[..., Shop]) -> None:
    shop = opened(per_week=2)
    sent = [send(shop, campaign(f"c{step}", n=1), NOON + step * DAY) for step in range(3)]
    assert [one.sent for one in sent] == [4, 4, 0]
    assert sent[2].skipped == {"weekly_cap": 4}
    assert send(shop, campaign("c3", n=1), NOON + 8 * DAY).sent == 4


def test_a_segment_says_who_is_meant(opened: Callable[..., Shop], tmp_path: Path) -> None:
    shop = opened(per_week=100)
    shop.ingest([Shopper(id="cem", country="TR", traits={"email": "c@x", "club": True})])
    shop.ingest(
        [Action(kind="purchase", shopper="dua", item="i03", order_id="o", at=NOON - 9 * HOUR)]
    )
    expected = {
        'country == "TR"': ["cem"],
        "traits.club": ["cem"],
        "purchases >= 1": ["dua"],
        "days_since_purchase == none": ["ana", "bob", "cem"],
        "days_since_action < 0.5": ["dua"],
        'id in ("ana", "bob") and not traits.club': ["ana", "bob"],
    }
    for x, (segment, who) in enumerate(expected.items()):
        send(shop, campaign(f"s{x}", n=1, segment=segment), NOON + x)
        assert [one["shopper"] for one in done(tmp_path, f"s{x}")] == who[:4], segment
    with pytest.raises(BadFilter, match="no field 'price'"):
        send(shop, campaign("s9", segment="price < 5"))


def test_who_has_no_address_or_too_few_items_gets_nothing(
    opened: Callable[..., Shop], tmp_path: Path
) -> None:
    shop = opened()
    shop.ingest([Shopper(id="ana", traits={"email": " "}), Shopper(id="bob", traits={"phone": 1})])
    sent = send(shop, campaign(n=5, least=5, filter='id in ("i01", "i02", "i03", "i04")'))
    assert (sent.sent, sent.skipped) == (0, {"no_address": 2, "nothing_to_show": 2})
    assert shown(shop) == []
    assert send(shop, campaign(n=5, least=4, filter="price < 8")).sent == 2


def test_ids_of_one_person_get_one_message(opened: Callable[..., Shop]) -> None:
    shop = opened()
    shop.ingest([Alias(shopper="ana", alias="bob")])
    assert send(shop, campaign()).sent == 3


def test_quiet_hours_are_the_shops(opened: Callable[..., Shop], tmp_path: Path) -> None:
    shop = opened(zone="Asia/Tokyo", quiet_from=21, quiet_until=8)  # noon in UTC is nine at night
    quiet = send(shop, campaign())
    assert (quiet.sent, quiet.until) == (0, "2023-11-14T23:00:00+00:00")
    assert done(tmp_path) == []
    assert send(shop, campaign(), NOON - 2 * HOUR).sent == 4


@pytest.mark.parametrize(
    ("start", "end", "quiet"),
    [(21, 8, {21, 23, 0, 1, 2, 3, 4, 7}), (1, 4, {1, 2, 3}), (9, 9, set())],
)
def test_hours_are_quiet_from_to(start: int, end: int, quiet: set[int]) -> None:
    config = MessagesConfig(quiet_from=start, quiet_until=end)
    probed = (0, 1, 2, 3, 4, 7, 8, 9, 20, 21, 23)
    assert {hour for hour in probed if config.quiet(hour)} == quiet


def test_it_becomes_quiet_between_two_batches(
    opened: Callable[..., Shop], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("habitue.surfaces.messages._BATCH", 2)
    shop = opened()
    times = iter([NOON + 8 * HOUR] * 4 + [NOON + 9 * HOUR] * 9)
    sent = send_messages(
        shop.parts, campaign(), progress=lambda *_: None, clock=lambda: next(times)
    )
    assert (sent.sent, sent.until is not None) == (2, True)
    assert send(shop, campaign(), NOON + DAY).sent == 2


def test_a_campaign_may_carry_another_surface(opened: Callable[..., Shop], tmp_path: Path) -> None:
    shop = opened()
    for days, item in ((40, "i05"), (2, "i06")):
        shop.ingest(
            [Action(kind="purchase", shopper="ana", item=item, order_id=item, at=NOON - days * DAY)]
        )
    sent = send(shop, campaign(surface="rebuy"))
    assert (sent.sent, sent.skipped) == (1, {"nothing_to_show": 3})
    assert [one["shown"]["items"] for one in done(tmp_path)] == [["i05"]]
    assert done(tmp_path)[0]["shown"]["surface"] == "messages"
    shop.ingest([Action(kind="add_to_cart", shopper="bob", item="i07", at=NOON - DAY)])
    assert send(shop, campaign("cart", surface="cart", segment='id == "bob"')).sent == 1
    assert "i07" not in done(tmp_path, "cart")[0]["shown"]["items"]
    with pytest.raises(BadInput, match="no surface"):
        send(shop, campaign("x", surface="hom"))


# ---------------------------------------------------------------- ways out


def test_mail_arrives_with_text_html_and_a_way_to_end_it(opened: Callable[..., Shop]) -> None:
    with mail_sink() as sink:
        shop = opened(
            channel="smtp",
            smtp_host="127.0.0.1",
            smtp_port=sink.port,
            smtp_security="none",
            sender="Jam & Co <news@jam.example>",
            public_url="https://shop.example/",
        )
        html = "{% for item in items %}<a href='{{ item.link }}'>{{ item.title }}</a>{% endfor %}"
        sent = send(shop, campaign(n=2, html=html, subject="Hello\r\nBcc: all@x"))
        assert sent.sent == 4
        mail = sink.taken[0]
        assert mail["To"] == "ana@jam.example"
        assert mail["Subject"] == "Hello Bcc: all@x"
        assert mail["Bcc"] is None
        link = mail["List-Unsubscribe"].strip(" <>")
        assert link.startswith("https://shop.example/v1/unsubscribe?token=")
        assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        text, page = (mail.get_body((kind,)) for kind in ("plain", "html"))
        assert text is not None
        assert page is not None
        assert len(text.get_content().split()) == 2
        assert "Jam &lt;" in page.get_content()
        assert shop.stored().facts["shown"] == 4
        unsubscribe(shop.parts, link.partition("token=")[2])
        after = send(shop, campaign("next", subject="x"), NOON + DAY)
        assert after.sent == 3
        assert [one["To"] for one in sink.taken[4:]] == [f"{w}@jam.example" for w in PEOPLE[1:]]
        assert not list((shop.parts.settings.messages.outbox).rglob("*.jsonl"))


def test_an_address_that_is_refused_stops_nobody_else(opened: Callable[..., Shop]) -> None:
    with mail_sink() as sink:
        sink.refuses = lambda to: "550 nobody here" if "bob" in to else None
        shop = opened(
            channel="smtp", smtp_host="127.0.0.1", smtp_port=sink.port, smtp_security="none",
            sender="news@jam.example", public_url="https://shop.example",
        )  # fmt: skip
        shop.ingest([Shopper(id="cem", traits={"email": "no address\nat all"})])
        sent = send(shop, campaign())
        assert (sent.sent, sent.refused) == (2, 2)
        assert send(shop, campaign(), NOON + HOUR).skipped == {"already_sent": 4}


def test_a_mail_server_that_is_away_loses_and_doubles_nothing(
    opened: Callable[..., Shop],
) -> None:
    with mail_sink() as sink:
        shop = opened(
            channel="smtp", smtp_host="127.0.0.1", smtp_port=sink.port, smtp_security="none",
            sender="news@jam.example", public_url="https://shop.example",
        )  # fmt: skip
        sink.refuses = lambda to: "451 try later" if "cem" in to else None
        with pytest.raises(Unavailable, match="try later"):
            send(shop, campaign())
        assert [one["To"] for one in sink.taken] == ["ana@jam.example", "bob@jam.example"]
        sink.refuses = lambda _: None
        shop.ingest([Consent(shopper="dua", denied=["messages"])])  # said no while it waited
        sent = send(shop, campaign(), NOON + HOUR)
        assert sent.sent == 1
        assert [one["To"] for one in sink.taken[2:]] == ["cem@jam.example"]


def test_a_run_that_is_killed_goes_on_where_it_stopped(
    opened: Callable[..., Shop], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It dies once the batch is written down, once it is recorded, once half has left."""
    with webhook_sink() as sink:
        shop = opened(channel="webhook", webhook_url=f"http://127.0.0.1:{sink.port}/")
        teller = "habitue.app.messaging._Teller.append"
        for point in (teller, "habitue.surfaces.outbox.Outbox.deliver"):
            with monkeypatch.context() as patch:
                patch.setattr(point, _die)
                with pytest.raises(KeyboardInterrupt):
                    send(shop, campaign())
        assert sink.taken == []
        sink.statuses = [200, 200, 503]
        with pytest.raises(Unavailable, match="503"):
            send(shop, campaign())
        assert send(shop, campaign(), NOON + HOUR).sent == 2
        assert [one["shopper"] for one in sink.taken] == list(PEOPLE)
        assert len(set(sink.keys)) == 4
        assert shop.stored().facts["shown"] == 4


def _die(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_a_webhook_is_told_all_there_is_to_a_message(opened: Callable[..., Shop]) -> None:
    with webhook_sink() as sink:
        shop = opened(channel="webhook", webhook_url=f"http://127.0.0.1:{sink.port}/")
        sink.statuses = [410]
        sent = send(shop, campaign(n=2))
        assert (sent.sent, sent.refused) == (3, 1)
        told = sink.taken[0]
        assert set(told) == {
            "id", "campaign", "shopper", "to", "subject", "text", "html", "items", "slate_id",
            "unsubscribe",
        }  # fmt: skip
        assert (told["shopper"], told["campaign"]) == ("bob", "spring")
        assert told["id"] == told["slate_id"] == sink.keys[0]
        items = told["items"]
        assert isinstance(items, list)
        action = Action(
            kind="select_item", shopper="bob", item=items[0], slate_id=str(told["slate_id"])
        )
        assert shop.ingest([action]).new == 1


def test_a_webhook_that_is_away_is_told_so(opened: Callable[..., Shop]) -> None:
    with webhook_sink() as sink:
        port = sink.port
    shop = opened(channel="webhook", webhook_url=f"http://127.0.0.1:{port}/", seconds=1)
    with pytest.raises(Unavailable, match="does not answer"):
        send(shop, campaign())


def test_mail_without_a_way_to_end_it_is_not_sent(opened: Callable[..., Shop]) -> None:
    with pytest.raises(BadSetting, match="public_url"):
        send(opened(channel="smtp", sender="a@b"), campaign())


# ---------------------------------------------------------------- templates and tokens


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{ shopper.name }}", "name"),
        ("{% for x in %}", "cannot be read at line 1"),
        ("{{ ''.__class__.__mro__ }}", "unsafe|attribute"),
        ("{{ items.append(1) }}", "append|safe"),
        ("{{ 1 / 0 }}", "division"),
        ("{% for x in range(100000000) %}{% endfor %}", "[Rr]ange"),
    ],
)
def test_a_template_can_do_nothing_but_read(
    opened: Callable[..., Shop], template: str, said: str
) -> None:
    shop = opened()
    with pytest.raises(BadInput, match=said):
        send(shop, campaign(text=template))
    assert shown(shop) == []


def test_html_is_escaped_and_text_is_not() -> None:
    letters = Letters("{{ shop }}", "{{ items[0].title }}", "{{ items[0].title }}")
    letter = letters.letter(
        shop=" Jam\n&\tCo ", shopper={}, items=[Offered(id="x", title="<b>")], unsubscribe=""
    )
    assert (letter.subject, letter.text, letter.html) == ("Jam & Co", "<b>", "&lt;b&gt;")


def test_a_token_to_unsubscribe_is_good_for_one_shopper_and_shop() -> None:
    token = unsubscribe_token("böb", b"key")
    assert shopper_of(token, b"key") == "böb"
    for wrong in (token[:-1], "A" + token[1:], "", "%", unsubscribe_token("böb", b"other")):
        with pytest.raises(Unauthorised):
            shopper_of(wrong, b"key")


def test_the_key_of_the_links_stays(opened: Callable[..., Shop]) -> None:
    settings = opened().parts.settings
    assert unsubscribe_key(settings) == unsubscribe_key(settings)


def test_the_erased_can_follow_their_old_link(opened: Callable[..., Shop]) -> None:
    shop = opened()
    token = unsubscribe_token("ana", unsubscribe_key(shop.parts.settings))
    shop.forget("ana")
    before = shop.stored().seq
    unsubscribe(shop.parts, token)
    assert shop.stored().seq == before


def test_pseudonyms_are_what_leaves_and_what_comes_back(tmp_path: Path) -> None:
    told = {"privacy.pseudonyms": True, "messages.public_url": "https://shop.example"}
    with open_shop(tmp_path / "shop.db", overrides=told) as shop:
        shop.ingest([Item(id="jam"), Item(id="jar")])
        shop.ingest([Shopper(id="ana", traits={"email": "ana@jam.example"})])
        shop.ingest([Consent(shopper="ana", granted=["messages"])])
        assert send(shop, campaign(n=1)).sent == 1
        message = done(tmp_path)[0]
        assert message["shopper"] != "ana"
        assert message["to"] == "ana@jam.example"
        unsubscribe(shop.parts, message["unsubscribe"].partition("token=")[2])
        assert send(shop, campaign("next")).sent == 0


def test_erasure_reaches_the_outbox(opened: Callable[..., Shop], tmp_path: Path) -> None:
    shop = opened()
    shop.ingest([Alias(shopper="ana", alias="bob")])
    send(shop, campaign())
    send(shop, campaign("more"))
    shop.forget("bob")
    for name in ("spring", "more"):
        assert [one["shopper"] for one in done(tmp_path, name)] == ["cem", "dua"]
    folder = tmp_path / "shop.outbox"
    assert not [
        path for path in folder.rglob("*") if path.is_file() and b"ana" in path.read_bytes()
    ]
    shop.forget("cem")
    shop.forget("dua")
    assert done(tmp_path) == []


@pytest.mark.parametrize("name", ["", "../up", "a/b", "-x", "a b", "ä"])
def test_a_campaign_has_a_name_that_is_a_folders(opened: Callable[..., Shop], name: str) -> None:
    with pytest.raises(BadInput, match="campaign's id"):
        send(opened(), campaign(name))


def test_a_campaign_is_read_from_a_file(opened: Callable[..., Shop], tmp_path: Path) -> None:
    file = tmp_path / "spring.toml"
    (tmp_path / "page.html").write_text("<p>{{ items | length }}</p>")
    file.write_text(
        'id = "spring"\nsubject = "Hi"\ntext = "{{ shop }}"\nhtml_file = "page.html"\nn = 2\n'
    )
    shop = opened(quiet_from=0, quiet_until=0)
    assert shop.send(file).sent == 4
    assert done(tmp_path)[0]["letter"] == {
        "subject": "Hi",
        "text": "Jam & Co",
        "html": "<p>2</p>",
    }
    for wrong in ('id = "x"\n', "id = \n", 'id="x"\nsubject=""\ntext=""\nto="all"\n'):
        file.write_text(wrong)
        with pytest.raises(BadInput, match=r"spring\.toml"):
            shop.send(file)


def test_half_a_note_is_no_note(tmp_path: Path) -> None:
    path = tmp_path / "batch.noted"
    path.write_bytes(b"one\t\ntwo\t550 no\nthr")
    assert [line.split(b"\t")[0] for line in outboxes._lines(path)] == [b"one", b"two"]

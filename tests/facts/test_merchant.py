"""Product feeds by Merchant Center's names: tables and XML, and what a sale's dates mean."""

from pathlib import Path

import msgspec
import pytest

from habitue.errors import BadInput
from habitue.facts import Item
from habitue.facts.feeds.imports import Imported, import_table
from habitue.facts.feeds.mapping import load_mapping
from habitue.facts.feeds.merchant import read_merchant
from habitue.facts.feeds.recognise import form_of

NOW = 1_700_000_000_000  # 14 November 2023, 22:13:20 UTC
DAY = 86_400_000

RSS = """<?xml version="1.0"?>
<rss xmlns:g="http://base.google.com/ns/1.0" version="2.0"><channel>
<title>Example - Online Store</title><link>http://www.example.com/</link>
<item>
<g:id>TV_123456</g:id>
<title>plain</title>
<g:title>LG 22LB4510 - 22" LED TV &amp; stand</g:title>
<g:description><![CDATA[Attractively <b>styled</b>]]></g:description>
<g:link>http://www.example.com/electronics/tv/22LB4510.html</g:link>
<g:image_link>http://images.example.com/TV_123456.png</g:image_link>
<g:additional_image_link>http://images.example.com/c_scale,w_9/a.png</g:additional_image_link>
<g:additional_image_link>http://images.example.com/b.png</g:additional_image_link>
<g:condition>used</g:condition><g:availability>in stock</g:availability>
<g:price>159.00 USD</g:price>
<g:shipping><g:country>US</g:country><g:price>14.95 USD</g:price></g:shipping>
<g:gtin>71919219405200</g:gtin><g:brand>LG</g:brand>
<g:product_type>Electronics &gt; Video &gt; Televisions</g:product_type>
<g:product_type>Living room</g:product_type>
<g:custom_label_0>clearance</g:custom_label_0>
</item>
<item><g:title>Nameless</g:title><g:price>1.00 USD</g:price></item>
</channel></rss>
"""
ATOM = """<feed xmlns="http://www.w3.org/2005/Atom" xmlns:g="http://base.google.com/ns/1.0">
<title>Store</title><link rel="self" href="http://www.example.com"/>
<entry><g:id>A1</g:id><title>Dior Eau</title><link href="http://www.example.com/a1"/>
<g:availability>out of stock</g:availability><g:price>80 USD</g:price><g:adult>yes</g:adult></entry>
</feed>
"""
HEAD = "id\ttitle\timage link\tprice\tsale_price\tsale_price_effective_date\tavailability\n"


def written(tmp_path: Path, name: str, text: str) -> Path:
    path = tmp_path / name
    path.write_text(text, "utf-8")
    return path


def read(path: Path) -> Imported:
    assert form_of(path) == "merchant"
    result = import_table(read_merchant(path), load_mapping("merchant"), now_ms=NOW)
    report = result.report
    assert report.kept + report.mended + report.rejected == report.rows_read
    return result


def versions(result: Imported) -> list[Item]:
    return [msgspec.json.decode(body, type=Item) for body in result.items["body"].to_pylist()]


def test_an_rss_feed(tmp_path: Path) -> None:
    result = read(written(tmp_path, "products.xml", RSS))
    assert versions(result) == [
        Item(
            id="TV_123456",
            title='LG 22LB4510 - 22" LED TV & stand',
            description="Attractively <b>styled</b>",
            link="http://www.example.com/electronics/tv/22LB4510.html",
            image_link="http://images.example.com/TV_123456.png",
            additional_image_link=[
                "http://images.example.com/c_scale,w_9/a.png",
                "http://images.example.com/b.png",
            ],
            price_micros=159_000_000,
            currency="USD",
            condition="used",
            brand="LG",
            product_type="Electronics > Video > Televisions",
            gtin="71919219405200",
            valid_from=NOW,
            attributes={"custom_label_0": "clearance"},
        )
    ]
    assert result.rejects.select("line", "field").rows() == [(2, "id")]


def test_an_atom_feed(tmp_path: Path) -> None:
    (item,) = versions(read(written(tmp_path, "feed.atom", ATOM)))
    assert (item.id, item.title, item.link) == ("A1", "Dior Eau", "http://www.example.com/a1")
    assert (item.price_micros, item.availability, item.adult) == (80_000_000, "out_of_stock", True)


def test_what_was_read_before_the_xml_breaks_off_is_kept(tmp_path: Path) -> None:
    broken = RSS[: RSS.index("<item><g:title>Nameless")] + "<item><g:id>X</g:id"
    result = read(written(tmp_path, "products.xml", broken))
    assert [item.id for item in versions(result)] == ["TV_123456"]
    (reason,) = result.rejects["reason"].to_list()
    assert reason == "the XML breaks off in line 21: unclosed token"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("<rss><channel></channel></rss>", "no items"),
        ("id,title\n1,2\n", "no XML"),
        (
            '<!DOCTYPE r [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><rss><item>&b;</item></rss>',
            "entities",
        ),
        (
            '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><rss><item>&x;</item></rss>',
            "entities",
        ),
    ],
)
def test_xml_that_is_no_feed_or_an_attack(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(BadInput, match=reason):
        read_merchant(written(tmp_path, "products.xml", text))


def test_a_table_feed_with_blanks_in_its_names(tmp_path: Path) -> None:
    line = "T1\tTea\thttp://a/t.png\tEUR 4.50\t\t\tIn Stock\n"
    line += "T2\tCup\t\t4,50 EUR\t\t\tpreorder\n"
    line += "T3\tPot\t\t12 EUR\t\t\tsometimes\n"
    result = read(written(tmp_path, "feed.txt", HEAD + line))
    (tea,) = versions(result)
    assert (tea.id, tea.image_link, tea.price_micros, tea.currency, tea.availability) == (
        "T1", "http://a/t.png", 4_500_000, "EUR", "in_stock",
    )  # fmt: skip
    assert result.rejects.select("line", "field").rows() == [(3, "price"), (4, "availability")]


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        ("", [(0, 3)]),
        # running: until its end
        ("2023-11-01T00:00-0500/2023-11-15T22:13:20+0000", [(0, 3), (1, None)]),
        # to come
        (
            "2023-11-15T22:13:20Z/2023-11-17T23:13:20+01:00",
            [(0, None), (1, 3), (3, None)],
        ),
        # over
        ("2023-10-01T00:00Z/2023-10-08T00:00Z", [(0, None)]),
        ("next week", [(0, None)]),
    ],
)
def test_a_sale_holds_in_its_time(
    tmp_path: Path, span: str, expected: list[tuple[int, int | None]]
) -> None:
    line = f"T1\tTea\t\t4 EUR\t3 EUR\t{span}\tin_stock\n"
    result = read(written(tmp_path, "feed.tsv", HEAD + line))
    said = [
        (item.valid_from, item.price_micros, item.sale_price_micros) for item in versions(result)
    ]
    assert said == [
        (NOW + days * DAY, 4_000_000, None if sale is None else sale * 1_000_000)
        for days, sale in expected
    ]
    assert result.report.mended == (span == "next week")

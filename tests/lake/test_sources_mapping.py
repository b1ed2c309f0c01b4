"""Mappings: what is accepted, and what an error says."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from lake.errors import SourceError
from lake.settings import Settings
from lake.sources.fields import bronze_name
from lake.sources.landing import register
from lake.sources.mapping import BUNDLED, Mapping, bundled_names, check_name, read_text

SHOP = """
name = "shop"
[events]
format = "csv"
[events.columns]
user_id = "customer"
item_id = "sku"
event_time = "at"
quantity = "units"
[events.constants]
event_type = "purchase"
"""


def wrong(text: str) -> str:
    """What the error for a mapping says."""
    with pytest.raises(SourceError) as caught:
        Mapping.parse(text, "shop.toml")
    message = str(caught.value)
    assert message.startswith("mapping shop.toml")
    return message


def test_the_shortest_mapping_has_the_documented_defaults() -> None:
    events = Mapping.parse(SHOP, "shop.toml").events
    assert (events.delimiter, events.encoding, events.multiline) == (",", "utf-8", False)
    assert (events.time.format, events.time.zone) == (("iso",), "UTC")
    assert events.source_columns == ("customer", "sku", "at", "units")
    assert events.required_columns == ("customer", "at", "sku")


@pytest.mark.parametrize("name", ["complete-journey", "movielens-1m", "online-retail-ii"])
def test_bundled_mappings_are_sound_and_named_like_their_files(name: str) -> None:
    assert Mapping.bundled(name).name == name
    assert name in bundled_names()


def test_an_unknown_bundled_mapping_lists_the_known_ones() -> None:
    with pytest.raises(SourceError, match="complete-journey, movielens-1m, online-retail-ii"):
        Mapping.bundled("../../etc/passwd")


def test_broken_toml_names_the_file_and_the_line() -> None:
    assert "not valid TOML" in wrong("name = ") and "line 2" in wrong('name = "s"\n[events\n')


def test_an_unknown_key_is_named_with_the_keys_allowed_there() -> None:
    message = wrong(SHOP.replace("quantity =", "qty ="))
    assert "events.columns.qty is no key of a mapping" in message and "quantity, unit_price" in message
    assert "events.colums is no key" in wrong(SHOP + "[events.colums]\n")


@pytest.mark.parametrize("column", ["user_id", "event_time", "event_type"])
def test_a_required_column_that_is_not_mapped_is_named(column: str) -> None:
    text = "\n".join(line for line in SHOP.splitlines() if not line.startswith(column))
    assert f"{column} must be named in columns (or constants)" in wrong(text)


def test_a_search_log_needs_no_item() -> None:
    text = SHOP.replace('item_id = "sku"\n', "").replace('"purchase"', '"search"')
    assert Mapping.parse(text, "shop.toml").events.required_columns == ("customer", "at")


def test_a_wrong_format_says_which_are_read() -> None:
    assert "got 'xls', allowed: 'csv', 'jsonl' or 'parquet'" in wrong(SHOP.replace('"csv"', '"xls"'))


def test_a_wrong_zone_is_named() -> None:
    assert "'Mars/Olympus' is no IANA time zone" in wrong(SHOP + '[events.time]\nzone = "Mars/Olympus"\n')


@pytest.mark.parametrize("pattern", ["yyyy-MM-dd bb", "yyyy-MM-dd'T", "", "EEE"])
def test_a_time_format_that_cannot_be_parsed_with_is_refused(pattern: str) -> None:
    assert "is no time format" in wrong(SHOP + f'[events.time]\nformat = "{pattern}"\n')


@pytest.mark.parametrize(
    ("addition", "says"),
    [
        ('[events.values.event_type]\nbuy = "bought"\n', "['bought'] are no event types; allowed: impression"),
        ('[events.values.colour]\nred = "rot"\n', "values names ['colour'], which are no standard columns"),
        ('[events.not_items]\npattern = "("\n', "is no regular expression"),
        ('[events.cancellation]\ncolumn = "sku"\n', "needs both column and prefix, or negative_quantity"),
        ("[events.identity]\nnatural_key = []\n", "natural_key"),
        ('[items]\nformat = "csv"\n[items.columns]\ntitle = "t"\n', "item_id must be named"),
        ('[items]\nformat = "jsonl"\ndelimiter = ";"\n[items.columns]\nitem_id = "i"\n', 'for format = "csv" only'),
        ('[events.identity]\nnatural_key = ["order id", "order_id"]\n', "cannot be told apart"),
    ],
)
def test_a_mapping_that_contradicts_itself_says_where(addition: str, says: str) -> None:
    assert says in wrong(SHOP + addition)


def test_a_column_cannot_be_a_constant_too() -> None:
    assert "['user_id'] are both in columns and in constants" in wrong(SHOP + 'user_id = "me"\n')


def test_several_problems_are_told_at_once() -> None:
    message = wrong(SHOP.replace('"csv"', '"xls"').replace('"shop"', '"My Shop"'))
    assert "name: got 'My Shop'" in message and "events.format: got 'xls'" in message


@pytest.mark.parametrize("name", ["", "Shop", "my shop", "../up", "a/b", "-a", "a" * 64, "shop\n", "_x", "a.b"])
def test_a_source_name_that_is_no_folder_name_is_refused(name: str) -> None:
    with pytest.raises(SourceError, match="is no name of a source"):
        check_name(name)
    assert "name: got" in wrong(SHOP.replace('"shop"', f"'''{name}'''"))


def test_a_mapping_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot be read: No such file"):
        Mapping.load(tmp_path / "none.toml")
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SourceError, match="is no text in UTF-8"):
        Mapping.load(binary)


def test_a_home_knows_its_registered_sources_by_name(settings: Settings) -> None:
    assert Mapping.for_home(settings) == {}
    register(settings, Mapping.parse(SHOP, "shop.toml"), SHOP)
    register(settings, Mapping.bundled("movielens-1m"), read_text(BUNDLED / "movielens-1m.toml"))
    assert list(Mapping.for_home(settings)) == ["movielens-1m", "shop"]


def test_a_registered_mapping_under_a_wrong_file_name_is_refused(settings: Settings) -> None:
    settings.sources.mkdir(parents=True)
    (settings.sources / "store.toml").write_text(SHOP)
    with pytest.raises(SourceError, match=r"name is 'shop', but the file is called store\.toml"):
        Mapping.for_home(settings)


@pytest.mark.parametrize(
    ("column", "name"),
    [("Customer ID", "Customer_ID"), ("a(b);c=1", "a_b__c_1"), ("größe", "größe"), ("_file", "source_file"),
     (" padded ", "padded"), ("user.id", "user_id")],
)  # fmt: skip
def test_bronze_names_keep_what_delta_allows(column: str, name: str) -> None:
    assert bronze_name(column) == name


def test_the_example_in_the_documentation_is_a_valid_mapping() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "sources.md").read_text()
    blocks = [block.split("```", 1)[0] for block in page.split("```toml\n")[1:]]
    complete = [block for block in blocks if block.lstrip().startswith("name =")]
    assert complete
    for block in complete:
        assert Mapping.parse(block, "docs/sources.md").name == tomllib.loads(block)["name"]

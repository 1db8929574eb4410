"""The list of published models: what it shows, and when it reads a metadata.json again."""

import json
import shutil

import pytest
from publishing import publish_symbol

from models import listing as listing_module
from models.listing import Listing
from models.store import METADATA_FILE, read_published, symbol_folder


@pytest.fixture(autouse=True)
def described(monkeypatch):
    """The symbols whose metadata.json was read, one entry per read. Each call checks the folder."""
    monkeypatch.setattr(listing_module, "LOOK_SECONDS", 0)
    read = []
    describe = listing_module._describe

    def describe_and_note(folder, symbol):
        read.append(symbol)
        return describe(folder, symbol)

    monkeypatch.setattr(listing_module, "_describe", describe_and_note)
    return read


def shown(listing):
    """The symbol, the version and whether it is the default of each model."""
    return [(model["symbol"], model["model_version"], model["default"]) for model in json.loads(listing.read().content)["models"]]


def test_default_model_comes_first_then_the_symbols_in_order(model_dir):
    version = read_published(model_dir).version
    for symbol in ("PEP", "KO", "BRK-B"):
        publish_symbol(model_dir, symbol, f"own-{symbol}")
    own = [(symbol, f"own-{symbol}", False) for symbol in ("BRK-B", "KO", "PEP")]
    assert shown(Listing(model_dir)) == [("MSFT", version, True), *own]


def test_model_is_described_by_its_metadata(model_dir):
    publish_symbol(model_dir, "KO", "own", symbol="all", last_date="2022-01-03")
    metadata = read_published(symbol_folder(model_dir, "KO")).metadata
    listed = json.loads(Listing(model_dir).read().content)
    assert listed["models"][1] == {
        "symbol": "KO", "default": False, "model_version": "own", "created_at": metadata["created_at"].replace("+00:00", "Z"),
        "last_date": "2022-01-03", "metrics": metadata["metrics"],
    }  # fmt: skip
    assert listed["problems"] == []


def test_empty_folder_lists_nothing(tmp_path):
    assert json.loads(Listing(tmp_path).read().content) == {"models": [], "problems": [], "versions": []}


def test_only_changed_metadata_is_read_again(model_dir, described):
    listing = Listing(model_dir)
    publish_symbol(model_dir, "KO", "own")
    publish_symbol(model_dir, "PEP", "own")
    first = listing.read()
    assert listing.read() == first
    assert described == ["", "KO", "PEP"]
    publish_symbol(model_dir, "PEP", "newer")
    assert listing.read().etag != first.etag
    assert described == ["", "KO", "PEP", "PEP"]
    shutil.rmtree(symbol_folder(model_dir, "KO"))
    assert [symbol for symbol, *_ in shown(listing)] == ["MSFT", "PEP"]
    assert described == ["", "KO", "PEP", "PEP"]


def test_folder_is_looked_at_once_a_second(model_dir, monkeypatch):
    listing = Listing(model_dir)
    before = listing.read()
    publish_symbol(model_dir, "KO", "own")
    monkeypatch.setattr(listing_module, "LOOK_SECONDS", 1000)
    assert listing.read() == before
    monkeypatch.setattr(listing_module, "LOOK_SECONDS", 0)
    assert listing.read() != before


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"model_version": 1}'])
def test_unreadable_metadata_is_a_problem_not_an_error(model_dir, content):
    publish_symbol(model_dir, "KO", "own")
    publish_symbol(model_dir, "PEP", "own")
    (symbol_folder(model_dir, "KO") / METADATA_FILE).write_text(content)
    listed = json.loads(Listing(model_dir).read().content)
    assert [model["symbol"] for model in listed["models"]] == ["MSFT", "PEP"]
    assert listed["problems"] == ["KO: metadata.json cannot be read"]


def test_what_is_not_a_symbols_folder_is_left_out(model_dir):
    publish_symbol(model_dir, "KO", "own")
    for name in (".staging-KO", "ko", "a b", "EMPTY"):
        shutil.copytree(symbol_folder(model_dir, "KO"), model_dir / "symbols" / name)
    (model_dir / "symbols" / "EMPTY" / METADATA_FILE).unlink()
    (model_dir / "symbols" / "FILE").write_text("")
    assert [symbol for symbol, *_ in shown(Listing(model_dir))] == ["MSFT", "KO"]


def test_kept_versions_of_the_default_model_are_listed(model_dir):
    first = read_published(model_dir)
    copy = model_dir / "versions" / "20990101-000000-abcdef"
    shutil.copytree(first.folder, copy)
    later = first.metadata | {"model_version": copy.name, "created_at": "2099-01-01T00:00:00+00:00"}
    (copy / METADATA_FILE).write_text(json.dumps(later))
    (model_dir / "versions" / ".staging-x").mkdir()
    (model_dir / "versions" / "damaged").mkdir()
    listing = Listing(model_dir)
    known = {"model_version": first.version, "created_at": first.metadata["created_at"].replace("+00:00", "Z"), "published": True}
    new = {"model_version": copy.name, "created_at": "2099-01-01T00:00:00Z", "published": False}
    assert json.loads(listing.read().content)["versions"] == [new, known]
    shutil.copyfile(copy / METADATA_FILE, model_dir / METADATA_FILE)
    assert [one["published"] for one in json.loads(listing.read().content)["versions"]] == [True, False]
    shutil.rmtree(copy)
    assert json.loads(listing.read().content)["versions"] == [known | {"published": False}]

"""Which model answers for a symbol: its own one, loaded on demand and evicted, or the default model."""

import shutil
import threading
from collections import Counter

import pytest
from publishing import publish_symbol

from errors import InvalidSymbolError, ModelUnavailableError
from models import symbols as symbols_module
from models.holder import ModelHolder, publication_of
from models.publishing import rollback
from models.store import ONNX_FILE, SCALER_FILE, symbol_folder
from models.symbols import SymbolModels
from settings import PROJECT_DIR


@pytest.fixture(scope="module")
def default():
    return ModelHolder(PROJECT_DIR / "modelFiles")


class Runner:
    """Runs work at once, and counts it by name."""

    def __init__(self):
        self.counts: Counter[str] = Counter()

    def __call__(self, work, *arguments):
        self.counts[work.__name__] += 1
        return work(*arguments)


@pytest.fixture
def run(monkeypatch):
    """Runs work. A symbol without a model is looked for again at once."""
    monkeypatch.setattr(symbols_module, "LOOK_SECONDS", 0)
    return Runner()


@pytest.fixture
def models(default, tmp_path, run):
    return SymbolModels(default, tmp_path, 2, run)


def answering(models, symbol):
    """The symbol and the version of the model that answers, and the warnings' codes."""
    serving = models.of(symbol)
    return serving.symbol, serving.forecaster.version, [warning.code for warning in serving.warnings]


def test_symbol_without_a_model_gets_the_default_model(models, default):
    for symbol in (None, "KO", "BRK-B", "A..B"):
        assert answering(models, symbol) == (None, default.current().version, [])


def test_own_model_answers_in_any_case_of_the_symbol(models, default, tmp_path):
    publish_symbol(tmp_path, "KO", "own")
    assert answering(models, "KO") == ("KO", "own", [])
    assert answering(models, "ko") == ("KO", "own", [])
    assert answering(models, None) == (None, default.current().version, [])


@pytest.mark.parametrize("symbol", ["", ".", "..", "../KO", "KO/..", "/etc", "KO\n", "K\0", ".KO", "KO/../../x"])
def test_text_that_is_not_a_symbol_is_refused(models, symbol):
    with pytest.raises(InvalidSymbolError):
        models.of(symbol)
    with pytest.raises(InvalidSymbolError):
        symbol_folder(PROJECT_DIR, symbol)


def test_link_out_of_the_model_folder_is_not_followed(default, tmp_path, run, caplog):
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    publish_symbol(outside, "KO", "own")
    (inside / "symbols").mkdir(parents=True)
    (inside / "symbols" / "KO").symlink_to(outside / "symbols" / "KO")
    models = SymbolModels(default, inside, 2, run)
    assert answering(models, "KO")[0] is None
    assert "leads out of the model folder" in caplog.text
    publish_symbol(inside, "PEP", "own")
    (inside / "symbols" / "COKE").symlink_to(inside / "symbols" / "PEP")
    assert answering(models, "COKE") == ("COKE", "own", [])


def test_model_is_loaded_once(models, tmp_path, run):
    publish_symbol(tmp_path, "KO", "own")
    first = models.of("KO").forecaster
    models.refresh()
    assert models.of("KO").forecaster is first
    assert run.counts["ModelHolder"] == 1


def test_concurrent_first_requests_load_once(default, tmp_path):
    publish_symbol(tmp_path, "KO", "own")
    loading, both_look, go_on, loads, answers, looks = threading.Event(), threading.Event(), threading.Event(), [], [], []

    def load_slowly(work, *arguments):
        if arguments == ("KO",):
            looks.append(1)
            if len(looks) == 2:
                both_look.set()
        if work is ModelHolder:
            loads.append(arguments)
            loading.set()
            assert go_on.wait(30)
        return work(*arguments)

    models = SymbolModels(default, tmp_path, 2, load_slowly)
    first = threading.Thread(target=lambda: answers.append(models.of("KO")))
    first.start()
    assert loading.wait(30)
    assert models.of("PEP").symbol is None  # nobody else waits
    second = threading.Thread(target=lambda: answers.append(models.of("KO")))
    second.start()
    assert both_look.wait(30)
    go_on.set()
    first.join(30)
    second.join(30)
    assert [answer.symbol for answer in answers] == ["KO", "KO"]
    assert answers[0].forecaster is answers[1].forecaster
    assert len(loads) == 1


def test_least_recently_used_model_is_evicted(models, tmp_path, run):
    for symbol in ("A", "B", "C"):
        publish_symbol(tmp_path, symbol, f"own-{symbol}")
    models.of("A")
    models.of("B")
    models.of("A")
    assert models.loaded == ["B", "A"]
    models.of("C")
    assert models.loaded == ["A", "C"]
    assert answering(models, "B") == ("B", "own-B", [])
    assert models.loaded == ["C", "B"]
    assert run.counts["ModelHolder"] == 4


def test_loads_are_counted(default, tmp_path, run):
    loads = []
    models = SymbolModels(default, tmp_path, 2, run, lambda: loads.append(1))
    publish_symbol(tmp_path, "KO", "own")
    for symbol in ("KO", "KO", "PEP", None):
        models.of(symbol)
    assert len(loads) == 1


def test_publication_and_rollback_are_loaded_by_refresh_not_by_a_request(models, tmp_path, run):
    publish_symbol(tmp_path, "KO", "old")
    before = models.of("KO").forecaster
    publish_symbol(tmp_path, "KO", "new")
    assert models.of("KO").forecaster is before
    models.refresh()
    assert answering(models, "KO") == ("KO", "new", [])
    rollback(symbol_folder(tmp_path, "KO"))
    models.refresh()
    assert answering(models, "KO") == ("KO", "old", [])
    assert run.counts == {"_is_published": 1, "ModelHolder": 1}


def test_first_publication_is_found_and_removed_folder_is_dropped(models, tmp_path):
    assert answering(models, "KO")[0] is None
    publish_symbol(tmp_path, "KO", "own")
    assert answering(models, "KO")[0] == "KO"
    shutil.rmtree(symbol_folder(tmp_path, "KO"))
    models.refresh()
    assert models.loaded == []
    assert answering(models, "KO")[0] is None
    publish_symbol(tmp_path, "KO", "again")
    assert answering(models, "KO") == ("KO", "again", [])


def test_symbol_without_a_model_is_looked_for_once_a_second(models, run, monkeypatch):
    monkeypatch.setattr(symbols_module, "LOOK_SECONDS", 1000)
    for _ in range(5):
        models.of("KO")
    assert run.counts == {"_is_published": 1}


def test_memory_of_symbols_without_a_model_is_bounded(models, monkeypatch):
    monkeypatch.setattr(symbols_module, "LOOK_SECONDS", 1000)
    monkeypatch.setattr(symbols_module, "MAX_ABSENT", 3)
    for number in range(10):
        models.of(f"X{number}")
        assert len(models._absent) <= 3


def test_folders_without_requests_are_not_looked_at(models, tmp_path, monkeypatch):
    for number in range(20):
        (tmp_path / "symbols" / f"S{number}").mkdir(parents=True)
    publish_symbol(tmp_path, "KO", "own")
    models.of("KO")
    looked = []

    def look(folder):
        looked.append(folder.name)
        return publication_of(folder)

    monkeypatch.setattr(symbols_module, "publication_of", look)
    models.refresh()
    assert looked == ["KO"]


def damage(published):
    (published.folder / ONNX_FILE).write_bytes(b"corrupt")


def test_damaged_publication_leaves_the_loaded_model_with_a_warning(models, tmp_path):
    publish_symbol(tmp_path, "KO", "good")
    models.of("KO")
    damage(publish_symbol(tmp_path, "KO", "bad"))
    models.refresh()
    assert answering(models, "KO") == ("KO", "good", ["untrusted_model"])
    assert models.of("KO").warnings[0].text == "The published model of KO cannot be trusted, so its version good answers."
    publish_symbol(tmp_path, "KO", "better")
    models.refresh()
    assert answering(models, "KO") == ("KO", "better", [])


def test_damaged_model_falls_back_to_its_previous_version_then_to_the_default_model(models, default, tmp_path):
    good = publish_symbol(tmp_path, "KO", "good")
    damage(publish_symbol(tmp_path, "KO", "bad"))
    assert answering(models, "KO") == ("KO", "good", ["untrusted_model"])
    (good.folder / SCALER_FILE).write_bytes(b"corrupt")
    again = SymbolModels(default, tmp_path, 2, lambda work, *arguments: work(*arguments))
    assert answering(again, "KO") == (None, default.current().version, ["untrusted_model"])
    assert again.of("KO").warnings[0].text == "The published model of KO cannot be trusted, so the default model answers."
    publish_symbol(tmp_path, "KO", "repaired")
    again.refresh()
    assert answering(again, "KO") == ("KO", "repaired", [])


def test_own_model_answers_without_a_default_model(tmp_path, run):
    models = SymbolModels(ModelHolder(tmp_path), tmp_path, 2, run)
    publish_symbol(tmp_path, "KO", "own")
    assert answering(models, "KO") == ("KO", "own", [])
    for symbol in (None, "PEP"):
        with pytest.raises(ModelUnavailableError, match="No model is published yet"):
            models.of(symbol)

"""The sentences of the API that the page shows: each is in translations/sentences.txt, and is translated whole."""

import ast
import json
import re

import pytest
from exports import EXPORTS, REFUSED
from faulty_files import WRONG
from foreign_words import english_in
from price_files import CONTENTS

from api import texts
from api.errors import SENTENCES
from app import create_app
from settings import PROJECT_DIR, Settings
from translations import makeTexts

PORTUGUESE = texts.of("pt-BR")
SHARED = PROJECT_DIR.parent / "shared" / "cases"
PACKAGES = ("api", "closes", "forecast", "models", "monitoring")
# Modules whose sentences the page does not show: of commands, metrics and logs, or known names of columns, months and numbers.
UNSEEN = {
    *("api/direct.py", "api/startup.py", "api/texts.py", "api/threads.py"),
    *(f"forecast/{name}.py" for name in ("backtest", "bulk", "calibration", "metadata", "network", "plots", "scores", "split")),
    *(f"models/{name}.py" for name in ("arguments", "compiled", "evaluation", "gate", "publishing")),
    *(f"monitoring/{name}.py" for name in ("metrics", "requestlog", "training")),
}
NAMES = {"closes/columns.py", "closes/days.py", "closes/numbers.py", "closes/headerless.py", "closes/calendar.py", "api/page.py"}
# Parts of sentences that the page does not show, or that are no sentences.
NOT_SHOWN = {
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; manifest-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    *("Not found", "Stock forecasts", "0 or as "),  # extracted from the code, a title of Swagger UI, a part of a number
    "Wrong setting. RATE_LIMIT_STORAGE=",
    *("There are ", " closes, but the ranges have the shape ", "A window has ", " closes; these have the shape ", "no time is left"),
    # The page sends neither such bodies nor such content types.
    *(
        ' closes]} for one window, or {"predict": [[',
        " closes], ...]} for several",
        " closes], ...]}, with up to ",
        " windows and no horizon",
    ),
    *("`predict` must not wrap each close in a list, as Keras takes them. Send ", "The closes must be in `predict`, not in `"),
    *("The body must be an object. Send ", "open, high and low must be given together.", "A high must not be below the low of its day."),
    *("Forms with files (multipart/form-data) are not accepted. Send the file itself as the body.", ": is missing", "]: is below low["),
    "Send a price file as the body: curl --data-binary @prices.csv -H 'Content-Type: text/csv'.",
    "Send closes with the header Content-Type: application/json (curl: -H 'Content-Type: application/json').",
    *("The body must be declared as application/json or text/csv. It was sent ", "without a Content-Type"),
    # Of commands: the page sends no file of windows, and no first or last day.
    *("Keep one of them.", "Name it 'adjusted close' if it has adjusted closes, or remove it.", "the file"),
    # The version before the published one is loaded in silence; rollbacks are commands.
    *("There is no previous version.", "The files of version ", " are incomplete or have changed.", "It is not a JSON object."),
}
PROSE = re.compile(r"[A-Za-z`]{2,}[,;:]? [A-Za-z`]{2,}")


def shown_parts(module):
    """The fixed parts of the texts of a module, each with its line: not of docstrings, the log, and known names."""
    tree = ast.parse((PROJECT_DIR / module).read_text())
    skipped = set()
    for node in ast.walk(tree):
        is_name = module in NAMES and isinstance(node, ast.Assign) and node in tree.body
        is_typing = isinstance(node, ast.AnnAssign)
        is_log = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and getattr(node.func.value, "id", "") == "log"
        is_assertion = isinstance(node, ast.Raise) and getattr(getattr(node.exc, "func", None), "id", "") in {
            "AssertionError",
            "ValueError",
        }
        is_doc = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if is_name or (is_typing and module in NAMES) or is_log or is_assertion or is_doc:
            skipped |= {id(part) for part in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) not in skipped and isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def test_sentences_of_the_code_are_in_the_list():
    known = "\n".join(texts.NAME.sub("\0", sentence) for sentence in makeTexts.sentences())
    missing = []
    for package in PACKAGES:
        for file in sorted((PROJECT_DIR / package).glob("*.py")):
            module = file.relative_to(PROJECT_DIR).as_posix()
            for line, text in shown_parts(module) if module not in UNSEEN else []:
                fixed = re.sub(r"\{\w+(?::g)?\}", "\0", text).strip()  # of a text that is formatted later
                if PROSE.search(text) and text not in NOT_SHOWN and fixed not in known:
                    missing.append(f"{module}:{line}: {text!r}")
    assert missing == [], "add these to translations/sentences.txt, or to NOT_SHOWN if the page never shows them"


def sentences_of(answer):
    """The sentences of an answer of the API that the page shows."""
    if "error" in answer:
        return [answer["error"], *answer["details"]]
    return [
        *(warning["text"] for warning in answer["warnings"]),
        *(item["reason"] for item in answer.get("left_out", [])),
        *answer.get("guesses", []),
    ]


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sentences")
    return create_app(
        Settings(REQUEST_LOG=folder / "log.csv", MLFLOW_UI_PORT=1, YAHOO_URL="http://127.0.0.1:1", DATA_CACHE_DIR=folder / "cache")
    ).test_client()


CALLS = [
    "/nothing", "/forecast/.x", "/forecast/NOSUCH", "/forecast/BRK.B", "/forecast/KO", "/forecast/MSFT?horizon=20&closes=250&above=99999",
    "/forecast/MSFT?horizon=99", "/forecast/MSFT?above=1,1", "/forecast/MSFT?above=x", "/forecast/MSFT?levels=1", "/forecast/MSFT?above=-1",

]  # fmt: skip
CLOSES = ",".join(["5"] * 59)
BODIES = [  # closes of a list, sent again with a price
    f'{{"predict": [{CLOSES}, 6], "horizon": 20, "levels": [50, 80, 95], "above": {json.dumps(above)}}}'
    for above in ([1, 1], [], [0], ["x"], [*range(1, 30)], [1e-9], None)
]


def contents():
    """Price files and their names."""
    yield from CONTENTS.items()
    yield from ((name, content) for name, (_, content, *_) in REFUSED.items())
    yield from ((name, export.content) for name, export in EXPORTS.items())
    yield from WRONG.items()
    if SHARED.is_dir():
        yield from ((file.name, file.read_bytes()) for file in sorted(SHARED.iterdir()))


def faults_of(answer):
    """The sentences of an answer that are not wholly in Portuguese."""
    sentences = sentences_of(answer)
    return [
        (sentence, PORTUGUESE.told(sentence))
        for sentence in sentences
        if english_in(PORTUGUESE.told(sentence)) or PORTUGUESE.told(sentence) == sentence
    ]


@pytest.mark.parametrize(("name", "content"), list(contents()), ids=lambda one: one if isinstance(one, str) else "")
def test_every_price_file_is_commented_in_portuguese(client, name, content):
    for query in ({}, {"symbol": "ACME"}, {"column": "Nope"}):
        assert faults_of(client.post("/predict", data=content, content_type="text/csv", query_string=query).json) == []


@pytest.mark.parametrize("address", CALLS)
def test_every_call_is_answered_in_portuguese(client, address):
    answer = client.get(address).json
    assert faults_of({"warnings": []} | answer) == []


@pytest.mark.parametrize("body", BODIES)
def test_every_body_is_answered_in_portuguese(client, body):
    answer = client.post("/predict", data=body, content_type="application/json").json
    assert faults_of({"warnings": []} | answer) == []


def test_numbers_and_dates_are_written_as_in_portuguese():
    told = PORTUGUESE.told
    assert told("The last close is from 2022-12-28, 1,034 trading days ago.") == "O último fechamento é de 28/12/2022, há 1.034 pregões."
    assert told("The close of 2024-03-10 is 0.497 times the close before it. If this is a split, use adjusted closes.").startswith(
        "O fechamento de 10/03/2024 é 0,497 vezes o anterior."
    )
    assert (
        told("The comma is read as the decimal sign, for example in 1,234.") == "A vírgula é lida como sinal decimal, por exemplo em 1,234."
    )


def test_sentence_within_a_sentence_is_translated():
    problem = "Yahoo Finance: it cannot be reached. These closes are from the snapshot and end on 2022-12-28."
    assert PORTUGUESE.told(problem) == (
        "Yahoo Finance: não foi possível acessá-lo. Estes fechamentos são dos dados incluídos no serviço e terminam em 28/12/2022."
    )


def test_unknown_sentence_stays_as_it_is():
    assert PORTUGUESE.told("Nobody has foreseen this.") == "Nobody has foreseen this."
    assert texts.of("en").told("There are no closes.") == "There are no closes."


@pytest.mark.parametrize("status", SENTENCES)
def test_errors_of_http_are_in_portuguese(status):
    assert english_in(PORTUGUESE.told(SENTENCES[status].format(root="/prefix"))) == []

"""The texts of the page in another language: those that are in no catalogue, and those that are in English."""

import re
import string
from pathlib import Path

from babel.messages.catalog import Catalog
from browsing import forget_answer
from foreign_words import english_in
from playwright.sync_api import Page, expect

from api.page import OFFERED
from translations import makeTexts

# Serves with the catalogues of the folder of its first argument.
SERVE = """
import sys
from pathlib import Path
from flask import send_from_directory
from werkzeug.serving import run_simple
from api import texts
from app import create_app
from settings import Settings
folder = texts.FOLDER = texts.SENTENCES = Path(sys.argv[1])
settings = Settings.from_environment()
app = create_app(settings)
asset = app.view_functions["asset"]
sentences = lambda name: send_from_directory(folder, name.partition("/")[2])
app.view_functions["asset"] = lambda version, filename: (
    sentences(filename) if filename.startswith("sentences/") else asset(version=version, filename=filename)
)
run_simple("127.0.0.1", settings.PORT, app, threaded=True)
"""
FIELD, FORECAST = "#question", "#submit"
WIDE = str.maketrans({letter: chr(ord(letter) + 0xFEE0) for letter in string.ascii_letters})  # as in Japanese texts
VALUES = re.compile(r"(%\(\w+\)s|%%|\{\w+\})")

# Every text that a person sees or hears, also of what is hidden, but code.
READ_TEXTS = """() => {
  const texts = [document.title, ...[...document.querySelectorAll("meta[content]")].map((meta) => meta.content)];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const { parentElement: parent, data } = walker.currentNode;
    if (!parent.closest("script, style, code, pre, [hreflang]") && data.trim()) {
      texts.push(data.trim());
    }
  }
  for (const element of document.body.querySelectorAll("*")) {
    for (const name of ["aria-label", "aria-valuetext", "placeholder", "title", "alt"]) {
      if (element.hasAttribute(name)) {
        texts.push(element.getAttribute(name));
      }
    }
  }
  return [...new Set(texts)];
}"""


def widened(text: str) -> str:
    """A text whose letters are marked, but not the names of its values."""
    return "".join(part if number % 2 else part.translate(WIDE) for number, part in enumerate(VALUES.split(text)))


def mark_catalogue(folder: Path) -> None:
    """Write a catalogue into a folder, in place of Portuguese, in which every text is marked."""
    own = folder / "pt_BR" / "LC_MESSAGES"
    own.mkdir(parents=True)
    catalog = Catalog(locale="pt_BR")
    for message in makeTexts.template():
        if message.id:
            marked = widened(message.id) if isinstance(message.id, str) else tuple(map(widened, message.id))
            catalog.add(message.id, marked, message.locations, context=message.context)
    (own / "messages.mo").write_bytes(makeTexts.mo(catalog))
    (own / "page.json").write_bytes(makeTexts.page(catalog))
    (folder / "pt_BR.json").write_bytes(makeTexts.told(catalog))


COMPANIES = re.compile("|".join(map(re.escape, OFFERED.values())))
# Quoted, names, units, symbols, tags, and what Intl writes.
NO_TEXT = re.compile(
    r"<[^>]*>|\u201c[^\u201d]*\u201d"
    rf"|{COMPANIES.pattern}|\b(?:Python|curl|English)\b"
    r"|\b[A-Z]{2,5}(?:\d?\.[A-Z]{1,2})?\b|\b(?:ms|kB|p95|p99)\b|\b\d{8}-\d{6}-\w{6}\b|http\S+"
    r"|\b(?:website|pt_BR|light dark|width=device-width, initial-scale=1)\b"
    r"|\b(?:dom|seg|ter|qua|qui|sex|s\u00e1b|jan|fev|mar|abr|mai|jun|jul|ago|set|out|nov|dez)\b|\bde\b"
)


def unmarked(page: Page, *given: str) -> list[str]:
    """The texts of a page that are not from the catalogue, apart from what was given to the page: names, symbols, quoted values."""
    own = "|".join(map(re.escape, filter(None, given)))
    ignored = re.compile(f"(?i:{own})|{NO_TEXT.pattern}" if own else NO_TEXT.pattern)
    return [text for text in page.evaluate(READ_TEXTS) if re.search(r"[A-Za-z]{2,}", ignored.sub("", text))]


def ask(page: Page, question: str) -> None:
    """Ask a question, and wait for the answer or the error."""
    forget_answer(page)
    page.locator(FIELD).fill(question)
    page.locator(FORECAST).click()
    settle(page)


def choose(page: Page, name: str, content: bytes) -> None:
    """Choose a price file, and wait for the answer or the error."""
    forget_answer(page)
    page.locator("#file").set_input_files({"name": name, "mimeType": "text/csv", "buffer": content})
    settle(page)


def settle(page: Page) -> None:
    expect(page.locator("#progress")).to_be_empty(timeout=60_000)
    expect(page.locator("#question-error, #result h2").filter(has_text=re.compile(r"\S")).first).to_be_visible()


def texts_in_english(page: Page) -> list[str]:
    """The texts of a page in Portuguese that have English words, apart from the names of companies."""
    return [text for text in page.evaluate(READ_TEXTS) if english_in(COMPANIES.sub("", text.replace("light dark", "")))]

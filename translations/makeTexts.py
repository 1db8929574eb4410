"""Collect the page's texts, put the new ones into each messages.po, and compile it.

    make texts

English is in the code: `_()` and `ngettext()` in templates and Python, `t()` and `nt()` in static/js. sentences.txt has the templates of
what the API says. Translations are written into <language>/LC_MESSAGES/messages.po. From it come messages.mo for templates and Python,
page.json for static/js, and static/sentences/<language>.json. Exit code 1: some texts have no translation yet.
"""

import io
import json
import os
import sys
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

FOLDER = Path(__file__).resolve().parent
PROJECT = FOLDER.parent
SENTENCES = "translations/sentences.txt"
METHODS = [("templates/flasgger/**", "ignore"), ("templates/**.html", "jinja2"), ("static/js/**.js", "javascript"), ("api/**.py", "python")]
KEYWORDS: dict[str, Any] = {"_": None, "gettext": None, "ngettext": (1, 2), "pgettext": ((1, "c"), 2), "t": None, "nt": (1, 2)}
PACKAGES = ("api", "static", "templates")  # folders with texts
WIDTH = 140


def sentences() -> list[str]:
    """Return the templates of sentences.txt: its lines but the empty ones and comments."""
    lines = (PROJECT / SENTENCES).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def template() -> Catalog:
    """Return all texts that the code has."""
    catalog = Catalog(project="stock-forecast-service", charset="utf-8")
    found = extract_from_dir(PROJECT, METHODS, keywords=KEYWORDS, directory_filter=_has_texts)
    for file, _, text, _, context in sorted(found, key=lambda one: one[0]):
        catalog.add(text, locations=[(file, 0)], context=context)
    for sentence in sentences():
        catalog.add(sentence, locations=[(SENTENCES, 0)])
    return catalog


def _has_texts(folder: str | os.PathLike[str]) -> bool:
    """Return whether a folder of the project is searched for texts."""
    parts = Path(folder).relative_to(PROJECT).parts
    return not parts or parts[0] in PACKAGES


def merged(language: str) -> Catalog:
    """Return a language's catalogue with the texts that the code has now; new ones have no translation."""
    with (FOLDER / language / "LC_MESSAGES" / "messages.po").open("rb") as file:
        catalog = read_po(file, locale=language)
    catalog.update(template(), no_fuzzy_matching=True, update_creation_date=False)
    catalog.obsolete.clear()
    return catalog


def missing(catalog: Catalog) -> list[str]:
    """Return the texts that have no translation or a fuzzy one."""
    return [_key(message) for message in _texts(catalog) if message.fuzzy or not all(_strings(message))]


def po(catalog: Catalog) -> bytes:
    """Return a catalogue as messages.po."""
    file = io.BytesIO()
    write_po(file, catalog, width=WIDTH, include_lineno=False, sort_by_file=True)
    return file.getvalue()


def mo(catalog: Catalog) -> bytes:
    """Return a catalogue as messages.mo."""
    file = io.BytesIO()
    write_mo(file, catalog)
    return file.getvalue()


def page(catalog: Catalog) -> bytes:
    """Return page.json: the texts of static/js, by their English."""
    return _json({_key(message): message.string for message in _translated(catalog, "static/js/")})


def told(catalog: Catalog) -> bytes:
    """Return the templates of the API's sentences and their translations, in the order in which to try them."""
    pairs = [(_key(message), str(message.string)) for message in _translated(catalog, SENTENCES)]
    return _json(sorted(pairs, key=lambda pair: ("{problem}" not in pair[0], -_length(pair[0]), pair[0])))


def made(catalog: Catalog, language: str) -> dict[Path, bytes]:
    """Return the files of a language and their content."""
    folder = FOLDER / language / "LC_MESSAGES"
    contents = {"messages.po": po(catalog), "messages.mo": mo(catalog), "page.json": page(catalog)}
    return {folder / name: content for name, content in contents.items()} | {
        PROJECT / "static" / "sentences" / f"{language}.json": told(catalog)
    }


def _translated(catalog: Catalog, place: str) -> list[Message]:
    """Return the translated messages of a file, or of a folder with a slash at its end."""
    return [
        message for message in _texts(catalog) if all(_strings(message)) and any(file.startswith(place) for file, _ in message.locations)
    ]


def _json(content: Any) -> bytes:
    """Return JSON with one text per line, so that differences can be read."""
    return f"{json.dumps(content, ensure_ascii=False, indent=0)}\n".encode()


def _length(text: str) -> int:
    """Return how many characters of a template are fixed."""
    return sum(len(part.partition("}")[2]) for part in f"}}{text}".split("{"))


def _texts(catalog: Catalog) -> list[Message]:
    """Return all messages but the header."""
    return [message for message in catalog if message.id]


def _key(message: Message) -> str:
    """Return the English text; for a plural, its singular."""
    return str(message.id if isinstance(message.id, str) else message.id[0])


def _strings(message: Message) -> tuple[str, ...]:
    """Return the translations: one, or one per plural form."""
    return tuple(message.string) if isinstance(message.string, list | tuple) else (message.string or "",)


def languages() -> list[str]:
    """Return the languages that have a catalogue."""
    return sorted(file.parent.parent.name for file in FOLDER.glob("*/LC_MESSAGES/messages.po"))


def main() -> int:
    """Update all catalogues."""
    count = 0
    for language in languages():
        catalog = merged(language)
        for file, content in made(catalog, language).items():
            file.write_bytes(content)
        for text in missing(catalog):
            print(f"{language}: no translation of {text!r}")
            count += 1
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())

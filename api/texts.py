"""The page's texts in other languages than English, which the code has: translations/<language>/LC_MESSAGES.

`make texts` makes messages.mo, page.json and static/sentences from messages.po. The API answers in English. A page shows the sentences of
the API in its own language: `told` finds the template of a sentence and fills in its values, as static/js/shared/sentences.js does in the
browser.
"""

import gettext
import json
import re
from functools import cache, cached_property
from typing import Any

from settings import PROJECT_DIR

FOLDER, SENTENCES = PROJECT_DIR / "translations", PROJECT_DIR / "static" / "sentences"
DOMAIN = "messages"
MAX_DEPTH = 3  # of sentences within sentences
NAME = re.compile(r"\{(\w+)\}")  # of a value in a template
NUMBER = re.compile(r"-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?%?")  # as the API writes it
DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)")
SWAPPED = str.maketrans(",.", ".,")


class Texts:
    """The texts of one language.

    Attributes:
        page: the texts of JavaScript by their English; empty in English.
        sentences: name of the file in static/sentences; empty in English.
        gettext, ngettext, pgettext: of the standard library.
    """

    def __init__(self, tag: str) -> None:
        """Read the catalogue of a language, such as pt-BR. English has none."""
        name = tag.replace("-", "_")
        found = gettext.translation(DOMAIN, FOLDER, [name], fallback=tag == "en")
        self.gettext, self.ngettext, self.pgettext = found.gettext, found.ngettext, found.pgettext
        self.has_comma = name.startswith("pt")
        self.sentences = "" if tag == "en" else f"{name}.json"
        page = FOLDER / name / "LC_MESSAGES" / "page.json"
        self.page: dict[str, Any] = json.loads(page.read_text(encoding="utf-8")) if self.sentences else {}

    @cached_property
    def _templates(self) -> list[tuple[re.Pattern[str], list[str], str]]:
        """The templates of sentences, compiled on first use: few pages need them."""
        pairs = json.loads((SENTENCES / self.sentences).read_text(encoding="utf-8")) if self.sentences else []
        return [_compiled(*pair) for pair in pairs]

    def told(self, sentence: str, depth: int = 0) -> str:
        """Return a sentence of the API in this language; one without a template stays as it is."""
        for pattern, names, translation in self._templates if depth < MAX_DEPTH else []:
            if found := pattern.fullmatch(sentence):
                values = {name: self._value(name, text, depth) for name, text in zip(names, found.groups(), strict=True)}
                return NAME.sub(lambda name, values=values: values.get(name[1], name[0]), translation)  # type: ignore[misc]
        return sentence

    def _value(self, name: str, text: str, depth: int) -> str:
        """Return a value of a sentence in this language: a number, a date or a sentence. `written` values stay as they are."""
        if not self.has_comma or name.startswith("written"):
            return text
        if NUMBER.fullmatch(text):
            return text.translate(SWAPPED)
        return DATE.sub(r"\3/\2/\1", text) if DATE.fullmatch(text) else self.told(text, depth + 1)

    def number(self, value: float, digits: int = 0) -> str:
        """Return a number with a number of decimals."""
        text = f"{value:,.{digits}f}"
        return text.translate(SWAPPED) if self.has_comma else text

    def percent(self, fraction: float, digits: int = 1) -> str:
        """Return a fraction in percent with a number of decimals."""
        return f"{self.number(100 * fraction, digits)}%"

    def significant(self, value: float, digits: int) -> str:
        """Return a number with a number of significant digits."""
        text = f"{value:.{digits}g}"
        return text.translate(SWAPPED) if self.has_comma else text

    def day(self, iso: object) -> str:
        """Return a date as numbers: ISO 8601 in English, 31/12/2026 in Portuguese."""
        return DATE.sub(r"\3/\2/\1", str(iso)) if self.has_comma else str(iso)


def _compiled(template: str, translation: str) -> tuple[re.Pattern[str], list[str], str]:
    """Return the pattern of a template's sentences, the names of its values, and its translation."""
    parts = NAME.split(template)
    pattern = "".join("(.*?)" if index % 2 else re.escape(part) for index, part in enumerate(parts))
    return re.compile(pattern, re.DOTALL), parts[1::2], translation


@cache
def of(tag: str) -> Texts:
    """Return the texts of a language, which are read once."""
    return Texts(tag)

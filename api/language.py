"""The language of the page: the address's ?lang=, else the reader's cookie, else Accept-Language, else English.

    language()                     the language of the current request, such as "pt-BR"
    render("index.html", ...)      a page in that language, with its headers

?lang= is in links that are shared, so it decides and is not remembered. The switch on the page writes the cookie.
"""

from typing import Any
from urllib.parse import urlencode

from flask import Response, g, make_response, render_template, request

from api import texts

ENGLISH, PORTUGUESE = "en", "pt-BR"
LANGUAGES = {ENGLISH: "English", PORTUGUESE: "Português"}  # tags and own names
PARAMETER = COOKIE = "lang"
MAX_TAGS = 20  # of Accept-Language that are read


def language() -> str:
    """Return the language of the current request."""
    if "language" not in g:
        named = (request.args.get(PARAMETER, ""), request.cookies.get(COOKIE, ""))
        g.language = next(filter(None, map(_known, named)), None) or _accepted()
    return str(g.language)


def _known(tag: str) -> str | None:
    """Return the language of a tag such as pt, pt-BR or pt-PT; None if there is no page in it."""
    primary = tag.replace("_", "-").split("-")[0].strip().lower()
    return next((name for name in LANGUAGES if name.split("-")[0] == primary), None)


def _accepted() -> str:
    """Return the language that the client prefers among those of the page. A wrong header counts as none."""
    tags = list(request.accept_languages)[:MAX_TAGS]
    wanted = sorted((tag for tag in tags if tag[1] > 0), key=lambda tag: -tag[1])  # equal ones stay in their order
    return next((found for tag, _ in wanted if (found := ENGLISH if tag == "*" else _known(tag))), ENGLISH)


def gettext(text: str) -> str:
    """Return a text in the language of the current request."""
    return texts.of(language()).gettext(text)


def told(sentence: str) -> str:
    """Return a sentence of the API in the language of the current request."""
    return texts.of(language()).told(sentence)


def render(template: str, **values: Any) -> Response:
    """Return a page in the language of the current request."""
    own = language()
    other = next(name for name in LANGUAGES if name != own)
    query = urlencode(request.args.to_dict(flat=False) | {PARAMETER: other.split("-")[0]}, doseq=True)
    switch = {"tag": other, "name": LANGUAGES[other], "address": f"?{query}"}
    response = make_response(render_template(template, language=own, switch=switch, texts=texts.of(own), **values))
    response.content_language.add(own)
    response.vary.update(("Accept-Language", "Cookie"))
    return response

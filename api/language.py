"""The language of the page: the address's ?lang=, else the reader's cookie, else Accept-Language, else English.

    add_texts(app)                 lets templates use the texts of the reader's language
    language()                     the language of the current request, such as "pt-BR"
    render("index.html", ...)      a page in that language, with its headers

?lang= is in links that are shared, so it decides and is not remembered. The switch on the page writes the cookie.
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from flask import Flask, Response, g, make_response, render_template, request
from jinja2 import pass_context

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


def spoken() -> texts.Texts:
    """Return the texts in the language of the current request."""
    return texts.of(language())


def gettext(text: str) -> str:
    """Return a text in the language of the current request. `make texts` finds it by the name of this function."""
    return spoken().gettext(text)


def add_texts(app: Flask) -> None:
    """Let templates use `_`, `ngettext`, `pgettext` and filters in the language of the request."""
    app.jinja_env.add_extension("jinja2.ext.i18n")
    app.jinja_env.install_gettext_callables(  # type: ignore[attr-defined]  # the extension adds it
        gettext,
        lambda one, other, count: spoken().ngettext(one, other, count),
        newstyle=True,
        pgettext=lambda context, text: spoken().pgettext(context, text),
    )
    for name in ("told", "number", "significant", "percent", "day"):
        app.jinja_env.filters[name] = _filter(name)


def _filter(name: str) -> Callable[..., str]:
    """Return a method of Texts as a filter. It takes the context, so that Jinja does not compute it when it compiles a template."""

    @pass_context
    def filtered(_: object, *arguments: Any) -> str:
        return str(getattr(spoken(), name)(*arguments))

    return filtered


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

"""The language of the page: its address, the cookie, Accept-Language, and the headers that say it."""

import re

import pytest

from api.language import LANGUAGES
from app import create_app
from settings import Settings


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """Calls to one service: no test changes it."""
    return create_app(Settings(REQUEST_LOG=tmp_path_factory.mktemp("service") / "log.csv", MLFLOW_UI_PORT=1)).test_client()


def shown(client, address="/", accept="", cookie=None):
    """The language of a page, by its three signs."""
    headers = {"Accept-Language": accept} if accept else {}
    client.delete_cookie("lang")
    if cookie:
        client.set_cookie("lang", cookie)
    answer = client.get(address, headers=headers | {"Accept": "text/html"})
    (lang,) = re.findall(r'<html lang="(.*?)">', answer.text)
    assert answer.headers["Content-Language"] == lang
    assert {"Accept-Language", "Cookie"} <= set(re.split(", *", answer.headers["Vary"]))
    assert ("Previsões de ações" in answer.text) == (lang == "pt-BR")
    return lang


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", "en"),
        ("en-US,en;q=0.9", "en"),
        ("pt", "pt-BR"),
        ("pt-BR", "pt-BR"),
        ("PT-pt,pt;q=0.9,en;q=0.8", "pt-BR"),
        ("pt_BR", "pt-BR"),
        ("fr-FR,fr;q=0.9", "en"),
        ("fr;q=0.9,pt;q=0.5", "pt-BR"),
        ("en;q=0.5,pt;q=0.6", "pt-BR"),
        ("pt;q=0.5,en;q=0.6", "en"),
        ("pt;q=0", "en"),
        ("pt;q=0,en;q=0.1", "en"),
        ("*", "en"),
        ("pt;q=0.1,*", "en"),
        ("ptx", "en"),
        ("pt;q=nonsense", "en"),
        (";;,,;q=1,-,*-*", "en"),
        ("pt;q=1.0.0,;=", "en"),
        ("é\x7f" * 50, "en"),
        (",".join(f"x{n};q=0.9" for n in range(1000)), "en"),
    ],
)
@pytest.mark.parametrize("address", ["/", "/predict", "/nothing"])
def test_accept_language_decides_and_a_wrong_one_is_no_error(client, address, accept, expected):
    assert shown(client, address, accept.encode("utf-8").decode("latin-1")) == expected


@pytest.mark.parametrize("cookie", ["pt", "pt-BR", "pt-PT"])
def test_cookie_comes_before_accept_language(client, cookie):
    assert shown(client, accept="en", cookie=cookie) == "pt-BR"
    assert shown(client, accept="pt", cookie="en") == "en"
    assert shown(client, accept="pt", cookie="klingon") == "pt-BR"


def test_address_comes_before_the_cookie(client):
    assert shown(client, "/?lang=pt", "en", "en") == "pt-BR"
    assert shown(client, "/?lang=en", "pt", "pt") == "en"
    assert shown(client, "/?lang=&symbol=KO", "pt") == "pt-BR"
    assert shown(client, "/?lang=klingon", "pt") == "pt-BR"


def test_shared_link_is_not_remembered(client):
    assert "Set-Cookie" not in client.get("/?lang=pt").headers


def test_switch_keeps_the_rest_of_the_address(client):
    page = client.get("/?symbol=KO&lang=en&_scheme=javascript&_external=1&endpoint=x").text
    (address,) = re.findall(r'id="other-language" href="(.*?)"', page)
    assert address == "?symbol=KO&amp;lang=pt&amp;_scheme=javascript&amp;_external=1&amp;endpoint=x"
    assert 'hreflang="en"' in client.get("/?lang=pt").text


def test_api_speaks_english(client):
    headers = {"Accept-Language": "pt-BR"}
    for address in ("/nothing", "/forecast/NOSUCH", "/forecast/MSFT?horizon=99&lang=pt", "/monitor?limit=x"):
        answer = client.get(address, headers=headers)
        assert answer.is_json
        assert answer.json == client.get(address).json
        assert "Content-Language" not in answer.headers


def test_page_in_english_has_no_texts_to_translate(client):
    assert 'id="texts"' not in client.get("/").text
    assert 'id="texts"' in client.get("/?lang=pt").text


def test_page_is_described_in_its_language(client):
    page = client.get("/?symbol=KO&lang=pt").text
    described = dict(re.findall(r'<meta property="og:(\w+)" content="(.*?)">', page))
    assert described["title"] == "KO: previsão dos próximos fechamentos"
    assert described["locale"] == "pt_BR"
    assert "<title>Previsões de ações</title>" in page


def test_unknown_address_is_explained_in_the_language_of_the_reader(client):
    page = client.get("/nothing?lang=pt", headers={"Accept": "text/html"}).text
    assert "<title>Página não encontrada \u2013 Previsões de ações</title>" in page
    assert "Não há nada neste endereço. As chamadas estão listadas em /apidocs." in page


def test_languages_have_their_own_names():
    assert LANGUAGES == {"en": "English", "pt-BR": "Português"}


@pytest.mark.parametrize("languages", [("en", "pt"), ("pt", "en")])
def test_numbers_of_a_template_are_in_the_readers_language(client, languages):
    """Also after a reader of the other language: Jinja compiles a template once."""
    for lang in languages:
        text = client.get(f"/?lang={lang}").text
        assert ("1.000 mais recentes" in text) == (lang == "pt")
        assert ("over the newest 1,000 at most" in text) == (lang == "en")

"""The documentation site: it builds without warnings, loads nothing from other hosts, and is readable for everyone."""

import functools
import os
import re
import subprocess
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from browsing import violations

from settings import PROJECT_DIR

pytestmark = pytest.mark.slow
PAGES = ["", "tutorial/", "reference/settings/", "explanation/architecture/", "pt/own-data/"]
# What the theme's script adds: copy buttons in landmarks without a name, and wide tables in boxes that scroll but have no focus.
THEME_OWN = {"landmark-unique", "scrollable-region-focusable"}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, as `make docs` builds it. A warning fails the build."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=PROJECT_DIR, env=environment, capture_output=True, text=True, check=False, timeout=240)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return folder


@pytest.fixture(scope="module")
def address(site):
    """Where the site is served."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_site_has_a_page_per_document(site):
    for page in ("", "tutorial/", "deploy/ec2/", "pt/", "decisions/0001-relative-windows/"):
        assert (site / page / "index.html").is_file()
    assert "forecast_one" in (site / "reference" / "python" / "index.html").read_text()  # from the docstrings
    assert (site / "static" / "screenshot.png").is_file()
    assert not [file for file in site.rglob("*") if file.suffix in {".md", ".pyc"}]


def test_files_name_no_other_host_to_load_from(site):
    for page in site.rglob("*.html"):
        text = re.sub(r'<link rel="(?:canonical|edit)"[^>]*>', "", page.read_text())
        assert not re.findall(r'<(?:script|link|img|iframe|source)[^>]*(?:src|href)="?(?:https?:)?//[^>]*>', text), page
    for sheet in site.rglob("*.css"):
        assert not re.findall(r"""@import[^;]*//|url\(["']?(?:https?:)?//""", sheet.read_text()), sheet


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")])
def test_pages_are_accessible_fit_the_screen_and_ask_no_other_host(browser, address, width, scheme):
    context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme)
    page = context.new_page()
    asked, problems = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: problems.append(str(error)))
    for name in PAGES:
        page.goto(address + name)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        assert [(name, found) for found in violations(page) if found.partition(":")[0] not in THEME_OWN] == []
    context.close()
    assert problems == []
    assert [url for url in asked if not url.startswith((address, "data:"))] == []


def test_portuguese_pages_say_their_language(site):
    assert '<html lang="pt-BR"' in (site / "pt" / "tutorial" / "index.html").read_text()
    assert '<html lang="en"' in (site / "tutorial" / "index.html").read_text()


def test_theme_speaks_the_language_of_each_page(site):
    english = {"Search", "Table of contents", "Next: ", "Previous: ", "Switch to dark mode", "Permanent link"}
    portuguese = {"Pesquisar", "Índice", "Próximo: ", "Anterior: ", "Mudar para o modo escuro", "Link permanente"}
    for folder, shown, missing in (("tutorial", english, portuguese), ("pt/tutorial", portuguese, english)):
        text = (site / folder / "index.html").read_text()
        assert [word for word in shown if f'="{word}' not in text] == []
        assert [word for word in missing if f'="{word}' in text] == []

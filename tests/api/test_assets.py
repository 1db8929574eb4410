"""Styles and scripts have addresses with their version, which a browser keeps."""

import os
import re
import shutil

import pytest

from api import assets


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A copy of static/ that the service reads."""
    folder = shutil.copytree(assets.FOLDER, tmp_path / "static")
    monkeypatch.setattr(assets, "FOLDER", str(folder))
    return folder


def addresses(client):
    """The versioned addresses in the page."""
    return re.findall(r'"(/assets/[^"]+)"', client.get("/").text)


def test_all_scripts_and_styles_of_the_page_have_versions(client):
    page = client.get("/").text
    assert len(addresses(client)) > 40
    assert not re.findall(r'"/static/[^"]+\.(?:js|css)"', page)


def test_browser_keeps_a_file_for_a_year(client):
    for address in addresses(client):
        with client.get(address) as answer:
            assert answer.status_code == 200
            assert answer.headers["Cache-Control"] == "public, immutable, max-age=31536000"


def test_changed_file_has_a_new_address_for_all(client, files):
    before = addresses(client)
    (files / "js" / "main.js").write_text("// new\n")
    after = addresses(client)
    assert not set(before) & set(after)
    with client.get(next(address for address in after if address.endswith("/main.js"))) as answer:
        assert answer.text == "// new\n"


def test_version_depends_on_the_content_alone(files):
    before = assets.current_version()
    os.utime(files / "css" / "page.css", (1, 1))
    assert assets.current_version() == before
    (files / "icon.svg").rename(files / "other.svg")
    assert assets.current_version() != before


@pytest.mark.parametrize("version", ["000000000000", "x"])
def test_file_of_another_version_is_answered_and_not_kept(client, version):
    with client.get(f"/assets/{version}/js/main.js") as answer:
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == "no-cache"


def test_only_files_of_the_folder_are_answered(client):
    for path in ("nothing.js", "../app.py", "%2e%2e/app.py", "js"):
        assert client.get(f"/assets/{assets.current_version()}/{path}").status_code == 404

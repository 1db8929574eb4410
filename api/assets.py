"""Styles and scripts of the page at addresses with their version, so that a browser loads them once and again only after they change.

    asset_url("js/main.js")                 /assets/3f1c9a04b2d7/js/main.js, in templates too
    asset("3f1c9a04b2d7", "js/main.js")     the file, which a browser may keep for a year

A page that was opened before an update asks for the version before. It gets the file of today, which its browser does not keep.
"""

import hashlib
import os
from functools import lru_cache
from pathlib import Path

from flask import Response, g, send_from_directory, url_for

from settings import PROJECT_DIR

FOLDER = str(PROJECT_DIR / "static")
KEPT_SECONDS = 365 * 24 * 3600
DIGITS = 12  # of a version, hexadecimal


def asset_url(filename: str) -> str:
    """Return the address of a file of static/."""
    if "assets_version" not in g:
        g.assets_version = current_version()
    return url_for("asset", version=g.assets_version, filename=filename)


def asset(version: str, filename: str) -> Response:
    """Answer a file of static/."""
    response = send_from_directory(FOLDER, filename)
    if version == current_version():  # after the file is opened: one that is replaced in between is not kept
        response.cache_control.no_cache = None
        response.cache_control.public = response.cache_control.immutable = True
        response.cache_control.max_age = KEPT_SECONDS
    return response


def current_version() -> str:
    """Return a checksum of all files of static/. It is computed again after one of them has changed."""
    paths = sorted(os.path.join(folder, name) for folder, _, names in os.walk(FOLDER) for name in names)
    return _checksum(tuple((path, os.stat(path).st_mtime_ns) for path in paths))


@lru_cache(maxsize=1)
def _checksum(files: tuple[tuple[str, int], ...]) -> str:
    """Return a checksum of the names and contents of files."""
    total = hashlib.sha256()
    for path, _ in files:
        content = Path(path).read_bytes()
        total.update(f"{os.path.relpath(path, FOLDER)} {len(content)} ".encode() + content)
    return total.hexdigest()[:DIGITS]

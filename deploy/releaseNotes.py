"""Prints the notes of a version from CHANGELOG.md. Needs only the standard library.

    python3 deploy/releaseNotes.py v1.0.0

Exits with code 1 and one line on stderr if the tag is not the version of pyproject.toml, or if CHANGELOG.md has no notes for it.
"""

import re
import sys
import tomllib
from pathlib import Path

PROJECT_DIR = Path(__file__).resolve().parent.parent


def project_version(project_dir: Path = PROJECT_DIR) -> str:
    """Return the version in pyproject.toml."""
    return str(tomllib.loads((project_dir / "pyproject.toml").read_text())["project"]["version"])


def notes_of(changelog: str, version: str) -> str:
    """Return the text under the heading of a version, without the heading. Empty: there is none."""
    heading = rf"^## \[{re.escape(version)}\][^\n]*\n"
    found = re.search(rf"{heading}(.*?)(?=^## |^\[[^\]\n]+\]: |\Z)", changelog, re.DOTALL | re.MULTILINE | re.IGNORECASE)
    return found[1].strip() if found else ""


def main() -> None:
    """Print the notes of the version that was given, with or without a leading v."""
    if len(sys.argv) != 2:
        sys.exit("usage: releaseNotes.py VERSION")
    version = sys.argv[1].removeprefix("v")
    if version != project_version():
        sys.exit(f"error: the version is {project_version()} in pyproject.toml, not {version}. Tag the commit that sets it")
    notes = notes_of((PROJECT_DIR / "CHANGELOG.md").read_text(), version)
    if not notes:
        sys.exit(f"error: CHANGELOG.md has no notes under a heading [{version}]. Rename Unreleased before the release")
    print(notes)


if __name__ == "__main__":
    main()

"""The documents of the project and the code blocks in them.

A block that is not run has its reason in a comment before it: <!-- not run: needs Docker -->.
"""

import re
from dataclasses import dataclass

from settings import PROJECT_DIR

DOCUMENTS = sorted(
    path.relative_to(PROJECT_DIR).as_posix()
    for pattern in ("*.md", "docs/**/*.md", "benchmarks/*.md", "client/*.md", "deploy/**/*.md", "data/*.md")
    for path in PROJECT_DIR.glob(pattern)
    if path.name != "CHANGELOG.md"  # describes modules of the past
)
BLOCK = re.compile(r"(?:^<!-- not run: ([^\n]*) -->\n)?^```([a-z]*)\n(.*?)^```$", flags=re.S | re.M)


@dataclass(frozen=True)
class Block:
    """A code block: where it is, its language and code, and why it is not run."""

    document: str
    line: int
    language: str
    code: str
    reason: str | None


def read(document: str) -> str:
    return (PROJECT_DIR / document).read_text()


def blocks(document: str) -> list[Block]:
    text = read(document)
    return [Block(document, text.count("\n", 0, one.start(2)) + 1, one[2], one[3], one[1]) for one in BLOCK.finditer(text)]


def headings(document: str) -> list[tuple[int, str]]:
    """Level and text of each heading."""
    text = re.sub(r"^```.*?^```$", "", read(document), flags=re.S | re.M)
    return [(len(marks), words) for marks, words in re.findall(r"^(#+) (.*)$", text, flags=re.M)]

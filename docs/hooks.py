"""MkDocs hooks: the site also shows documents of other folders, and links between documents work on the site as in the repository.

A document keeps its path on the site, without `docs/` in front: deploy/README.md is the page deploy/, and a link to
../static/screenshot.png from docs/ leads to static/screenshot.png. README.md is the home page. Files that documents link to are copied; a
link to a folder without a document becomes plain text. The theme speaks Portuguese on the pages in docs/pt.
"""

import hashlib
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.nav import Navigation
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
HOMES = {"README.md": "index.md", "README.pt-BR.md": "pt/index.md"}
INCLUDED = (
    *HOMES,
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "benchmarks/README.md",
    "benchmarks/forecast.md",
    "benchmarks/serving.md",
    "benchmarks/soak.md",
    "client/README.md",
    "data/README.md",
    "deploy/README.md",
    "deploy/ec2/README.md",
)
PORTUGUESE = {  # attributes that do not come from the theme's own translation
    "Search": "Pesquisar",
    "Switch to light mode": "Mudar para o modo claro",
    "Switch to dark mode": "Mudar para o modo escuro",
    "Follow the system": "Seguir o sistema",
    "Permanent link": "Link permanente",
}
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\(([^)\s]+)\)")
FENCE = re.compile(r"(^```.*?^```$)", flags=re.S | re.M)
DIAGRAM = re.compile(r"^```mermaid\n(.*?)^```$", flags=re.S | re.M)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the documents of other folders, and the files that documents link to."""
    for name in INCLUDED:
        files.append(File.generated(config, site_path(name), abs_src_path=str(ROOT / name)))
    documents = [repository_path(file.src_uri) for file in files if file.is_documentation_page()]
    linked = {target for name in documents for target in local_targets(name)} | {"static/favicon.ico"}
    for target in sorted(linked):
        if (ROOT / target).is_file() and not target.startswith(".") and files.get_file_from_path(site_path(target)) is None:
            files.append(File.generated(config, site_path(target), abs_src_path=str(ROOT / target)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Rewrite the links of a document from its place in the repository to its place on the site."""
    source = repository_path(page.file.src_uri)

    def rewrite(link: re.Match[str]) -> str:
        picture, text, address = link.groups()
        if is_elsewhere(address):
            return link[0]
        target, _, anchor = address.partition("#")
        found = files.get_file_from_path(site_path(document_of(resolve(source, target))))
        if found is None:
            return text
        relative = posixpath.relpath(found.src_uri, posixpath.dirname(page.file.src_uri) or ".")
        return f"{picture}[{text}]({relative}{'#' + anchor if anchor else ''})"

    parts = [part if part.startswith("```") else LINK.sub(rewrite, part) for part in FENCE.split(markdown)]
    return DIAGRAM.sub(lambda diagram: picture_of(diagram[1], page), "".join(parts))


def picture_of(diagram: str, page: Page) -> str:
    """Return the picture of a Mermaid diagram, made by docs/makeDiagrams.py: the site loads no Mermaid from another host."""
    title = re.findall(r"accTitle: (.*)", diagram)[0]
    relative = posixpath.relpath(f"diagrams/{picture_name(diagram)}", posixpath.dirname(page.file.src_uri) or ".")
    return f"![{title}]({relative}){{ .diagram }}"


def picture_name(diagram: str) -> str:
    """Return the file name of a diagram's picture. It depends on the content, so a picture cannot be stale."""
    return hashlib.sha256(diagram.encode()).hexdigest()[:12] + ".svg"


def on_page_context(context: dict[str, Any], page: Page, config: MkDocsConfig, nav: Navigation) -> dict[str, Any]:
    """Choose the language of the theme's own words, which its templates read for each page."""
    config.theme["language"] = "pt-BR" if is_portuguese(page) else "en"
    return context


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Name the search dialog and the language of Portuguese pages, for screen readers, and translate the words of mkdocs.yml there."""
    named = output.replace('data-md-component="search" role="dialog"', 'data-md-component="search" role="dialog" aria-label="Search"')
    if not is_portuguese(page):
        return named
    for english, portuguese in PORTUGUESE.items():
        named = named.replace(f'="{english}"', f'="{portuguese}"')
    return named.replace('<html lang="pt"', '<html lang="pt-BR"', 1)


def is_portuguese(page: Page) -> bool:
    """Whether a page is in Portuguese."""
    return page.file.src_uri.startswith("pt/")


def site_path(name: str) -> str:
    """Return the path on the site of a file of the repository."""
    return HOMES.get(name, name.removeprefix("docs/"))


def repository_path(path: str) -> str:
    """Return the path in the repository of a page of the site."""
    homes = {page: name for name, page in HOMES.items()}
    return homes.get(path, path if path in INCLUDED else f"docs/{path}")


def local_targets(name: str) -> Iterator[str]:
    """Yield the repository's files that a document links to."""
    for link in LINK.finditer((ROOT / name).read_text()):
        if not is_elsewhere(link[3]):
            yield resolve(name, link[3].partition("#")[0])


def resolve(source: str, target: str) -> str:
    """Return the path in the repository that a document's relative link leads to."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(source), target))


def document_of(name: str) -> str:
    """Return the document of a folder, and other paths unchanged."""
    return f"{name}/README.md" if (ROOT / name / "README.md").is_file() else name


def is_elsewhere(address: str) -> bool:
    """Whether a link leads to another host, or to a place on the same page."""
    return address.startswith("#") or re.match(r"[a-z]+:", address) is not None

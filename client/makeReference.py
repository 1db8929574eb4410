"""Writes docs/reference/client.md from the docstrings of the client: `python client/makeReference.py`."""

import ast
import re
from pathlib import Path

FOLDER = Path(__file__).parent
SOURCE = FOLDER / "stock_forecast_client" / "__init__.py"
REFERENCE = FOLDER.parent / "docs" / "reference" / "client.md"
INTRODUCTION = """# Client reference

This page is generated from the docstrings of the Python client by `python client/makeReference.py`. [The guide](../../client/README.md)
says how to install and use it.

"""
CLIENTS = ("Client", "AsyncClient")


def markdown(docstring: str) -> str:
    """Return a docstring in Google's style as Markdown: entries of sections become lists, indented code becomes a code block."""
    lines = []
    for block in docstring.split("\n\n"):
        head, _, rest = block.partition("\n")
        if head in {"Args:", "Attributes:", "Raises:"}:
            entries = re.sub(r"\n {8,}", " ", "\n" + rest).strip().splitlines()
            items = [re.sub(r"^([\w, ]+): ", r"- `\1`: ", entry.strip()) for entry in entries]
            lines.append("\n".join([f"**{head.replace('Args', 'Arguments').replace('Attributes', 'Fields')}**", "", *items]))
        else:
            lines.append(block)
    return "\n\n".join(lines)


def signature(function: ast.FunctionDef | ast.AsyncFunctionDef, name: str) -> str:
    """Return the signature as code, one argument per line if it is long."""
    function.args.args = [one for one in function.args.args if one.arg != "self"]
    arguments = re.sub(r"(?<=\w)=(?=\w)", " = ", ast.unparse(function.args).replace("'", ""))
    returned = "" if function.returns is None or name[0].isupper() else f" -> {ast.unparse(function.returns)}".replace("'", "")
    start = "await " if isinstance(function, ast.AsyncFunctionDef) else ""
    if len(arguments) > 90:
        arguments = "".join(f"\n    {argument}," for argument in re.split(r", (?![^\[]*\])", arguments)) + "\n"
    return f"```python\n{start}{name}({arguments}){returned}\n```"


def functions(node: ast.ClassDef) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Return the public methods of a class."""
    return [one for one in node.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef) and not one.name.startswith("_")]


def documentation(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """Return the docstring of a class or method as Markdown."""
    return markdown(ast.get_docstring(node) or "")


def class_text(node: ast.ClassDef) -> str:
    """Return the section of a class: what it is, its fields, its methods."""
    public = [base.id for base in node.bases if isinstance(base, ast.Name) and base.id not in {"NamedTuple", "Exception", "_Settings"}]
    kinds = "".join(f"A kind of `{base}`. " for base in public if base != "ValueError")
    parts = [f"### {node.name}", kinds + documentation(node)]
    fields = [one for one in node.body if isinstance(one, ast.AnnAssign)]
    if fields and node.name not in {"StockForecastError", "StatusError"}:
        types = [f"{ast.unparse(one.target)}: {ast.unparse(one.annotation)}".replace("dt.", "") for one in fields]
        parts.append("```python\n" + "\n".join(types) + "\n```")
    for one in node.body:
        if isinstance(one, ast.FunctionDef) and one.name == "__init__" and node.name in CLIENTS:
            parts.insert(1, signature(one, node.name))
    for method in functions(node):
        parts += [f"#### {node.name}.{method.name}", signature(method, method.name), documentation(method)]
    return "\n\n".join(parts)


def reference() -> str:
    """Return the whole page."""
    tree = ast.parse(SOURCE.read_text())
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_") and node.name != "Column"]
    errors = [node for node in classes if node.name.endswith("Error")]
    clients = [node for node in classes if node.name in CLIENTS]
    results = [node for node in classes if node not in errors and node not in clients]
    parts = ["## Clients", *map(class_text, clients), "## Results", "Results are immutable. Fields that a newer service adds are ignored."]
    parts += [*map(class_text, results), "## Errors", *map(class_text, errors)]
    return INTRODUCTION + "\n\n".join(part for part in parts if part) + "\n"


if __name__ == "__main__":
    REFERENCE.write_text(reference())

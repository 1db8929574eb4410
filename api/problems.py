"""What is wrong with the values of a body, in our own words instead of pydantic's."""

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from processData import WINDOW
from settings import PROBLEMS

MAX_DETAILS = 5  # problems that an error names
WORDS = PROBLEMS | {"extra_forbidden": "is not a known field here", "tuple_type": "must be a list"}


def in_words(error: ValidationError | OverflowError) -> list[str]:
    """Return the first problems, each with its place; indices count from 0, as in JSON."""
    if isinstance(error, OverflowError):
        return ["a number is too large"]
    problems = error.errors(include_url=False, include_input=False)
    with_items = {problem["loc"][:-1] for problem in problems}  # a tuple without its wrong items is also too short
    problems = [problem for problem in problems if problem["type"] != "too_short" or problem["loc"] not in with_items]
    return first([f"{_place(problem)}: {_words(problem)}" for problem in problems])


def first(details: Sequence[str]) -> list[str]:
    """Return the first details, and how many more there are."""
    return [*details[:MAX_DETAILS], *([f"and {len(details) - MAX_DETAILS} more"] if len(details) > MAX_DETAILS else [])]


def _place(problem: ErrorDetails) -> str:
    """Return where a problem is, such as predict[3]."""
    return "".join(f"[{part}]" if isinstance(part, int) else str(part)[:40] for part in problem["loc"])


def _words(problem: ErrorDetails) -> str:
    """Describe a problem."""
    context = problem.get("ctx", {})
    if problem["type"] in ("too_short", "too_long"):
        return _length(context, "closes" if problem["loc"][:1] == ("predict",) else "values")
    words = WORDS.get(problem["type"])
    return words.format(**context) if words else problem["msg"]


def _length(context: dict[str, Any], noun: str) -> str:
    """Describe a list that is too short or too long."""
    limit: int = context["min_length"] if "min_length" in context else context["max_length"]
    if limit == 1:
        return "must not be empty"
    if limit == WINDOW:
        return f"{limit} {noun} are needed; got {context['actual_length']}"
    return f"at most {limit} are accepted; got {context['actual_length']}"

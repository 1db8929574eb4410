"""English words in a text in Portuguese."""

import re

# Words that are not Portuguese too.
ENGLISH = re.compile(
    r"\b(?:the|of|is|are|was|were|has|have|not|and|with|from|to|in|on|by|its?|this|that|which|them|their|than|there|before|after|between"
    r"|between|closes?|rows?|lines?|columns?|files?|days?|dates?|hours|read|column of|forecast|model|price|prices|value|values|wrong|times"
    r"|other|others|answer|server|symbol of|trading|last|first|newest|oldest)\b",
    re.IGNORECASE,
)
# What is shown as it is: quoted, code, commands and names of columns.
QUOTED = re.compile(
    r"'[^']*'|\"[^\"]*\"|`[^`]*`|“[^”]*”|\([^()]* (?:=|é) [^()]*\)|--\w+ \S+|\b\w+=\w+|python [\w.-]+(?: --?\w+\S*)*"
    r"|metadata\.json|Date, [^.]*|Open time, [^.]*"
)


def english_in(text: str) -> list[str]:
    """The English words of a text, but those that are quoted."""
    return ENGLISH.findall(QUOTED.sub("", text))

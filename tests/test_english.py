"""The project's English stays plain: text files avoid phrases that made readers stop.

Spaces in a pattern also match line breaks (with comment signs) and underscores, so wrapped docstrings and test names are covered.
"""

import re
import string
import subprocess

import pytest

from settings import PROJECT_DIR

# (pattern, better words, a sentence that the pattern must find, a sentence that it must accept)
RULES = [
    (r"\banew\b", "again", "The log is read anew.", "The log is read again."),
    (r"\b(?:is|are|was|were|be|been|being) (?:told|begun)\b", "says, starts", "The client is told.", "The answer told the client."),
    (r"\bwho(?:m|so)?ever\b", "any client that ...", "Whoever asks gets it.", "Any client gets it."),
    (r"\bwhat (?:came|comes) of\b", "the result", "What came of a look.", "The result of a look."),
    (r"\bwhat it was at\b", "requests in flight", "Only what it was at is lost.", "Only requests in flight are lost."),
    (r"\bh(?:old|olds|eld|olding)\b[^.:;]{0,60} against\b", "compares with", "Holds it against Keras.", "Holds the lock."),
    (r"\bh(?:ung|ang|angs|anging) up\b", "disconnects", "They are hung up on.", "The worker hangs."),
    (r"\bgo(?:es)? first\b", "is evicted, is served first", "The oldest goes first.", "The first goes out."),
    (
        r"\bt(?:ake|akes|aken|ook|aking) up\b(?! to\b)",
        "loads",
        "Servers take it up.  They take up a model.",
        "A call takes up to 10 windows.",
    ),
    (r"\btakes? the place of\b", "replaces", "None takes the place of it.", "It replaces the model."),
    (r"\b(?:has|have|had) to do with\b", "concerns", "It has to do with locks.", "It has to do it with locks."),
    (r"\bas (?:they|it) came\b", "unchanged", "Requests wait as they came.", "They wait unparsed."),
    (
        r"(?:^|[.;:(,] )who (?:asks|waits|takes|sends|wants|reads|has|is)\b",
        "a client that ...",
        "A lock: who waits gets it.",
        "A client who waits.",
    ),
    (r"\bso many\b", "the number", "By so many does it lead.", "It has many."),
    (
        r"\b(?:it|that|which|this|what) is no (?!longer\b|more\b|better\b|worse\b|faster\b|slower\b)",
        "is not a",
        "What is no window.",
        "There is no model.",
    ),
    (
        r"\b(?:closes?|returns?|that|which) (?:has|have) come\b(?! from\b)",
        "known, realised",
        "Closes that have come.",
        "Requests have arrived.",
    ),
    (
        r"\b(?:otherwise|else|other) than\b(?! (?:that|the|a|an|`|tensorflow)\b)",
        "different from",
        "Spread otherwise than before.",
        "Other than that, all is well.",
    ),
    (r"\b(?:holds?|slows?|makes?|keeps?) nobody\b", "others are not affected", "They slow nobody.", "Nobody reads it."),
    (r"\b(?:short|both|fast|long) roads?\b", "path", "The short road of a request.", "The fast path."),
    (r"\btaken as noise\b", "halved", "Half is taken as noise.", "Half of it is noise."),
    (
        r"\bbeside\b(?! (?:the|its|each) (?:field|input|chart|form|button)s?\b)",
        "next to, alongside",
        "The lock beside the log.",
        "Errors appear beside the field.",
    ),
    (r"\bheed(?:s|ed|ing)?\b", "considers", "A threshold that heeds it.", "A threshold that considers it."),
    (r"\b(?:can|cannot|could|may|to) be had\b", "is available", "No source can be had.", "No source is available."),
    (r"\b(?:came|come|comes) about\b", "happens", "Both came about.", "Both happened."),
    (r"\bmend(?:s|ed)?\b", "fix", "Mend or remove them.", "Amend the commit."),
    (r"\brightly\b", "correctly", "It answered rightly.", "A brightly lit room."),
    (r"\bfrom which on\b", "above which", "The size from which on it rotates.", "The file from which it reads."),
    (
        r"\b(?:one|line|row|file|process|id) an? (?:line|day|request|symbol|core|minute|call|client|window|stock|epoch)\b",
        "per",
        "A row a day.",
        "A row per day.",
    ),
    (r"\bas [\w'\s§]{1,40}? (?:has|have) it\b", "according to", "As the contract has it.", "The cache has it."),
    (r"\bbut for\b", "except", "All but for one.", "Slow but forgiving."),
    (r"\b(?:amidst|midst|lest|whence|thereof|whereof|wherein|therein|hitherto)\b", "a usual word", "In the midst of it.", "In the middle."),
    (r"\b(?:is|are|be|was) (?:said|spoken) (?:once|of)\b", "appears once", "It is said once.", "He said it once."),
    (r"\bcry wolf\b", "gives false alarms", "It would cry wolf.", "It would give false alarms."),
    (r"\bnot one bit\b", "nothing", "It sees not one bit.", "One bit is set."),
    (r"\b(?:is|are|was|no|a|as|of|in) sound\b", "valid", "A body that is sound.", "The sound of it."),
    (r"\bwhom\b", "a noun", "Whom they ask for.", "The host they ask for."),
    (r"\bin no time\b", "quickly", "Workers start in no time.", "At no time does it block."),
    (r"\bsee(?:s|n|ing)? off\b", "drains and closes", "It sees off the client.", "It sees them offline."),
    (r"\bst(?:and|ands|ood) still\b", "hangs", "A worker that stands still.", "It still stands."),
    (r"\bin vain\b", "without effect", "The end waits in vain.", "The main path."),
    (r"\bas (?:it|they|one) likes?\b", "without limit", "As often as it likes.", "As it is likely."),
    (r"\ball that (?:is|was|it|were|the|a|has|stands)\b", "everything", "Unlike all that it has seen.", "All windows that it has seen."),
    (r"\b(?:is|are|were) made (?:again|new)\b", "is recreated", "The log is made again.", "The log is made by it."),
    (
        r"\btells? (?:of|nothing|not)\b",
        "reports, shows",
        "The log tells of it.",
        "It tells the server to stop.",
    ),
]
BETWEEN_WORDS = r"(?:\s+(?:(?:#|//|\*|>|<!--)\s+)?)"  # in a pattern, a space
# Lower case; underscores separate words, and digits do not belong to them. Then \b and literal prefixes work, which are fast.
PLAIN = str.maketrans({letter: letter.lower() for letter in string.ascii_uppercase} | dict.fromkeys("0123456789", "§") | {"_": " "})
FILES = re.compile(r"\.(?:py|md|js|css|html|ya?ml|toml|ipynb|service|timer|in|lua)$|(?:^|/)(?:Makefile|Dockerfile|run)$|\.Dockerfile$")
NOT_OURS = re.compile(r"^static/vendor/|^modelFiles/|^tests/test_english\.py$|\.pt-BR\.md$|^README\.pt|LICENSE")


def compiled(pattern):
    return re.compile(pattern.replace(" ", BETWEEN_WORDS), re.ASCII | re.MULTILINE)


def text_files():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=PROJECT_DIR, capture_output=True, text=True, check=True).stdout
    return [name for name in listed.split("\0") if FILES.search(name) and not NOT_OURS.search(name) and (PROJECT_DIR / name).is_file()]


@pytest.mark.parametrize(("pattern", "better", "bad", "good"), RULES, ids=[rule[1] for rule in RULES])
def test_rule_finds_its_fault_and_accepts_plain_english(pattern, better, bad, good):
    assert compiled(pattern).search(bad.translate(PLAIN))
    assert not compiled(pattern).search(good.translate(PLAIN))


@pytest.mark.skipif(not (PROJECT_DIR / ".git").exists(), reason="without git, the project's own files are not known")
def test_text_files_are_in_plain_english():
    faults = []
    rules = [(compiled(pattern), better) for pattern, better, *_ in RULES]
    for name in text_files():
        text = (PROJECT_DIR / name).read_text().translate(PLAIN)
        for pattern, better in rules:
            for match in pattern.finditer(text):
                line = text.count("\n", 0, match.start()) + 1
                faults.append(f"{name}:{line}: {' '.join(match[0].split())!r}; better: {better}")
    if faults:
        pytest.fail(f"{len(faults)} phrases:\n" + "\n".join(faults), pytrace=False)

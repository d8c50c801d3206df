"""For the reference pages: marks the examples in docstrings as code, which Markdown would take for quotations."""

import re
from typing import Any

from griffe import Extension, Object

# From the first prompt to the blank line that ends the example, as doctest reads it.
DOCTEST = re.compile(r"^(?P<indent> *)>>> .*(?:\n(?! *$).*)*", re.MULTILINE)


class Doctests(Extension):
    """Puts each doctest between fences."""

    def on_object(self, *, obj: Object, **kwargs: Any) -> None:
        """Rewrite the docstring of `obj` before it is parsed."""
        if obj.docstring is not None:
            obj.docstring.value = fenced(obj.docstring.value)


def fenced(docstring: str) -> str:
    """Give `docstring` with its doctests between fences."""
    return DOCTEST.sub(lambda match: f"{match['indent']}```pycon\n{match[0]}\n{match['indent']}```", docstring)

"""The public names, compared with a list, so that none comes or goes unnoticed."""

from pathlib import Path

import condswap

LIST = Path(__file__).with_name("public_names.txt")


def listed_names() -> list[str]:
    return LIST.read_text(encoding="utf-8").split()


def test_the_public_names_are_those_of_the_list():
    come = sorted(set(condswap.__all__) - set(listed_names()))
    gone = sorted(set(listed_names()) - set(condswap.__all__))
    assert sorted(condswap.__all__) == listed_names(), (
        f"new names: {come}; names gone: {gone}. If that is meant, write it into {LIST.name} (one name a line, in the "
        "order of Python's sorted()), and into CHANGELOG.md; a name that goes breaks somebody's program, and asks for "
        "a new major version (before 1.0 a new minor one)."
    )


def test_every_public_name_is_there_once():
    assert [name for name in condswap.__all__ if not hasattr(condswap, name)] == []
    assert len(set(condswap.__all__)) == len(condswap.__all__)

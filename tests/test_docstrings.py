"""Every docstring's example runs, and every public name has one."""

import doctest
import importlib
import inspect
import pkgutil
from types import ModuleType

import pytest

import condswap

OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
MODULES = sorted(
    {"condswap"}
    | {
        module.name
        for module in pkgutil.walk_packages(condswap.__path__, prefix="condswap.")
        if not module.name.endswith("__main__")  # importing it runs the command line
    }
)


def examples(module: ModuleType) -> list[doctest.DocTest]:
    return [test for test in doctest.DocTestFinder().find(module) if test.examples]


def run(tests: list[doctest.DocTest]) -> tuple[int, str]:
    """How many examples failed, and the report on them."""
    runner = doctest.DocTestRunner(verbose=False, optionflags=OPTIONS)
    report: list[str] = []
    failed = sum(runner.run(test, out=report.append).failed for test in tests)
    return failed, "".join(report)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_the_docstrings_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # an example may save a model
    failed, report = run(examples(importlib.import_module(name)))
    assert failed == 0, report


def test_a_wrong_example_is_found():
    module = ModuleType("wrong")
    module.__doc__ = ">>> 1 + 1\n3\n"
    failed, report = run(examples(module))
    assert failed == 1
    assert "Expected" in report


@pytest.mark.parametrize("name", sorted(condswap.__all__))
def test_every_public_name_has_a_docstring_with_an_example(name):
    value = getattr(condswap, name)
    if not inspect.isclass(value) and not inspect.isroutine(value):
        return  # __version__ and the names of tensors carry no docstring
    assert value.__doc__, f"{name} has no docstring"
    if inspect.isclass(value) and issubclass(value, Exception):
        return  # what raises an error is the example of it
    found = doctest.DocTestFinder().find(value, name)  # of a class, its methods' too
    assert any(test.examples for test in found), f"{name} has no example in its docstring"

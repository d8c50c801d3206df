"""Who may import whom, read from the source with `ast`; nothing is imported to find out, except in the last test."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "condswap"

# A room is a module or a folder of the package. Each may import itself and what its row names, nothing else.
GROUND = {
    "types",
    "errors",
    "files",
    "progress",
    "decoding",
    "pictures",
    "safe_pickle",
    "log",
    "jpeg",
    "templates",
    "provenance",
    "sharing",
}
PICTURES = GROUND | {"data", "faces", "video"}
MODELS = GROUND | {"component", "roles", "losses", "objective", "parts", "assembly", "generator"}
MODELS |= {"hub", "model_card", "pretrained", "export", "cgan"}
USES = PICTURES | MODELS | {"sensitivity", "training", "evaluation", "deepfacelab", "pipeline"}
MAY_IMPORT: dict[str, set[str]] = {
    "types": set(),
    "errors": set(),
    "files": {"types", "errors"},
    "progress": {"types", "errors"},
    "safe_pickle": {"types", "errors"},
    "log": {"types", "errors"},
    "jpeg": {"types", "errors"},
    "templates": {"types", "errors"},
    "decoding": {"types", "errors"},
    "sharing": {"types", "errors"},
    "provenance": {"types", "errors", "files", "jpeg"},
    "pictures": {"types", "errors", "files", "decoding", "provenance"},
    # pictures
    "data": GROUND,
    "faces": GROUND | {"hub"},
    "video": GROUND,
    # models
    "component": GROUND,
    "roles": GROUND | {"component"},
    "losses": GROUND,
    "objective": GROUND | {"losses"},
    "parts": GROUND | {"component", "roles", "losses"},
    "assembly": GROUND | {"component", "roles", "parts"},
    "generator": GROUND | {"component", "roles", "losses", "parts"},
    "hub": GROUND,
    "model_card": GROUND | {"objective"},
    "pretrained": GROUND | {"component", "hub", "model_card"},
    "export": GROUND | {"component", "roles", "parts", "generator"},
    "cgan": MODELS,
    # what is done with them
    "sensitivity": MODELS,
    "training": PICTURES | MODELS | {"sensitivity"},
    "evaluation": PICTURES | MODELS | {"sensitivity"},
    "deepfacelab": MODELS,
    "pipeline": PICTURES | MODELS,
    "guiding": PICTURES | MODELS | {"training"},
    "testing": PICTURES | MODELS,
    # the doors
    "__init__": USES,
    "demo": USES,
    "train": USES | {"guiding"},
    "app": USES,
    "cli": USES | {"__init__", "demo", "train", "app"},
    "__main__": {"cli"},
}
ROLES = {"encoders", "bottlenecks", "decoders", "discriminators"}
THIRD_PARTY = {"torch", "einops", "typing_extensions", "safetensors"}
UNPICKLERS = {"pickle", "_pickle", "dill", "cloudpickle", "shelve", "marshal", "joblib"}


class Import(NamedTuple):
    """One imported module: its dotted name, and whether importing the file runs it."""

    name: str
    line: int
    at_module_level: bool
    for_types_only: bool


def imports(tree: ast.Module, *, package: tuple[str, ...]) -> Iterator[Import]:
    """All imports of a file; relative ones are made absolute from `package`, the folder the file is in."""

    def walk(node: ast.AST, *, module_level: bool, typing_only: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                for alias in child.names:
                    yield Import(alias.name, child.lineno, module_level, typing_only)
            elif isinstance(child, ast.ImportFrom):
                start = package[: len(package) - child.level + 1] if child.level else ()
                stem = ".".join([*start, *([child.module] if child.module else [])])
                for alias in child.names:
                    # `from condswap import hub` imports the module condswap.hub: the name belongs to the path.
                    yield Import(f"{stem}.{alias.name}", child.lineno, module_level, typing_only)
            elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                yield from walk(child, module_level=False, typing_only=typing_only)
            elif isinstance(child, ast.If) and ast.unparse(child.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
                for part in child.body:
                    yield from walk(ast.Module([part], []), module_level=module_level, typing_only=True)
                for part in child.orelse:
                    yield from walk(ast.Module([part], []), module_level=module_level, typing_only=typing_only)
            else:
                yield from walk(child, module_level=module_level, typing_only=typing_only)

    yield from walk(tree, module_level=True, typing_only=False)


def room_of(path: str) -> str:
    """The room of a file, `parts/layers.py` -> `parts`."""
    return path.split("/")[0].removesuffix(".py")


def imported_room(name: str) -> str | None:
    """The room of an import, `condswap.parts.layers.Upscale` -> `parts`; None for what is not ours."""
    words = name.split(".")
    if words[0] != "condswap":
        return None
    # A name that is no room, such as condswap.CGAN, was taken from the front door.
    return words[1] if len(words) > 1 and words[1] in MAY_IMPORT else "__init__"


def wrong_rooms(path: str, tree: ast.Module) -> Iterator[str]:
    own = room_of(path)
    for found in imports(tree, package=package_of(path)):
        room = imported_room(found.name)
        if room is not None and room != own and room not in MAY_IMPORT[own]:
            yield f"{path}:{found.line}: {own} may not import {found.name} (it may: {sorted(MAY_IMPORT[own])})"
        stem = path.removeprefix("parts/").removesuffix(".py")
        if own == "parts" and stem in ROLES and set(found.name.split(".")[2:3]) & (ROLES - {stem}):
            yield f"{path}:{found.line}: one role may not import another: {found.name}"


def wrong_third_party(path: str, tree: ast.Module) -> Iterator[str]:
    for found in imports(tree, package=package_of(path)):
        top = found.name.split(".")[0]
        if top == "huggingface_hub" and path != "hub.py":
            yield f"{path}:{found.line}: only hub.py imports huggingface_hub"
        if f"{found.name}.".startswith("torch.distributed.") and path != "training/distributed.py":
            yield f"{path}:{found.line}: only training/distributed.py imports torch.distributed"
        known = top == "condswap" or top in sys.stdlib_module_names or top in THIRD_PARTY
        if found.at_module_level and not found.for_types_only and not known:
            yield f"{path}:{found.line}: {found.name} belongs into the function that uses it"
    for node in ast.walk(tree):
        outside = path != "training/distributed.py"
        if outside and isinstance(node, ast.Attribute) and ast.unparse(node) == "torch.distributed":
            yield f"{path}:{node.lineno}: only training/distributed.py uses torch.distributed"


def unsafe(path: str, tree: ast.Module) -> Iterator[str]:
    for found in imports(tree, package=package_of(path)):
        if found.name.split(".")[0] in UNPICKLERS or found.name in ("torch.load", "torch.save"):
            yield f"{path}:{found.line}: {found.name}: nothing is ever pickled or unpickled; use safetensors and JSON"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node) in ("torch.load", "torch.save"):
            yield f"{path}:{node.lineno}: {ast.unparse(node)} is a pickle; use safetensors"


def loose(path: str, tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert):
            yield f"{path}:{node.lineno}: assert vanishes under python -O; raise a CondswapError"
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "print":
            yield f"{path}:{node.lineno}: a library does not print"


def package_of(path: str) -> tuple[str, ...]:
    return ("condswap", *path.split("/")[:-1])


def sources() -> dict[str, ast.Module]:
    paths = sorted(SOURCE.rglob("*.py"))
    return {path.relative_to(SOURCE).as_posix(): ast.parse(path.read_text(encoding="utf-8")) for path in paths}


def faults(check) -> list[str]:
    return [fault for path, tree in sources().items() for fault in check(path, tree)]


def test_the_source_is_found():
    assert {"__init__.py", "types.py", "errors.py", "cgan.py"} <= set(sources())


def test_every_room_has_its_place():
    unknown = {room_of(path) for path in sources()} - set(MAY_IMPORT)
    assert not unknown, f"say in MAY_IMPORT of {__file__} what these may import: {sorted(unknown)}"


def test_the_rooms_form_no_circle():
    left = {room: set(below) for room, below in MAY_IMPORT.items()}
    while ready := {room for room, below in left.items() if not (below & set(left)) - {room}}:
        left = {room: below for room, below in left.items() if room not in ready}
    assert not left, f"these import each other in a circle: {sorted(left)}"


def test_every_file_imports_only_what_lies_below_it():
    assert faults(wrong_rooms) == []


def test_at_module_level_only_the_core_dependencies_are_imported():
    assert faults(wrong_third_party) == []


def test_nothing_is_ever_unpickled():
    assert faults(unsafe) == []


def test_the_package_neither_asserts_nor_prints():
    assert faults(loose) == []


@pytest.mark.parametrize(
    ("check", "path", "source"),
    [
        (wrong_rooms, "errors.py", "from condswap.types import Shape"),
        (wrong_rooms, "component.py", "from condswap import parts"),
        (wrong_rooms, "component.py", "from condswap import CGAN"),
        (wrong_rooms, "component.py", "import condswap.cgan"),
        (wrong_rooms, "data/folder.py", "def read():\n    from condswap.cgan import CGAN"),
        (wrong_rooms, "losses/masked.py", "from ..parts.layers import Upscale"),
        (wrong_rooms, "parts/encoders.py", "from condswap.parts.decoders import ConvDecoder"),
        (wrong_rooms, "parts/encoders.py", "from .decoders import ConvDecoder"),
        (wrong_rooms, "parts/encoders.py", "from . import decoders"),
        (wrong_rooms, "cgan.py", "from condswap.training import Trainer"),
        (wrong_rooms, "training/trainer.py", "if TYPE_CHECKING:\n    from condswap.cli import main"),
        (wrong_third_party, "data/folder.py", "from PIL import Image"),
        (wrong_third_party, "data/folder.py", "try:\n    import PIL.Image\nexcept ImportError:\n    pass"),
        (wrong_third_party, "data/folder.py", "class Reader:\n    import numpy"),
        (wrong_third_party, "hub.py", "import huggingface_hub"),
        (wrong_third_party, "cgan.py", "def push():\n    from huggingface_hub import HfApi"),
        (wrong_third_party, "training/trainer.py", "import torch.distributed as dist"),
        (wrong_third_party, "training/trainer.py", "from torch import distributed"),
        (wrong_third_party, "training/trainer.py", "import torch\nrank = torch.distributed.get_rank()"),
        (unsafe, "pretrained.py", "import pickle"),
        (unsafe, "pretrained.py", "import torch\nweights = torch.load('weights.pt')"),
        (unsafe, "pretrained.py", "def load():\n    from torch import load"),
        (loose, "cgan.py", "def f(x):\n    assert x"),
        (loose, "cgan.py", "def f(x):\n    print(x)"),
    ],
)
def test_a_planted_fault_is_found(check, path, source):
    assert len(list(check(path, ast.parse(source)))) == 1


@pytest.mark.parametrize(
    ("check", "path", "source"),
    [
        (wrong_rooms, "parts/encoders.py", "from condswap.parts.layers import Upscale"),
        (wrong_rooms, "parts/__init__.py", "from .encoders import ConvEncoder"),
        (wrong_rooms, "cgan.py", "from condswap import hub, pretrained"),
        (wrong_third_party, "hub.py", "def fetch():\n    from huggingface_hub import snapshot_download"),
        (wrong_third_party, "data/folder.py", "if TYPE_CHECKING:\n    from PIL import Image"),
        (wrong_third_party, "data/folder.py", "def read():\n    from PIL import Image"),
        (wrong_third_party, "training/distributed.py", "import torch.distributed"),
        (unsafe, "pretrained.py", "import torch\nimport json\njson.load"),
    ],
)
def test_what_is_allowed_is_not_a_fault(check, path, source):
    assert list(check(path, ast.parse(source))) == []


def test_import_condswap_loads_no_optional_package():
    optional = ["PIL", "matplotlib", "huggingface_hub", "cv2", "av", "onnx", "onnxruntime", "skimage"]
    optional += ["c2pa", "cryptography", "gradio"]
    program = f"import sys, condswap; sys.stdout.write(' '.join(m for m in {optional} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == ""

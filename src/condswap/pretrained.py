"""A model as a folder: config.json, model.safetensors and README.md.

The config carries the checksum of the weights, so that a folder whose files do not belong together is refused.
"""

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from condswap import hub
from condswap.errors import CondswapError, ConfigError, DataError, HubError, ShapeError
from condswap.files import make_folder, write_together
from condswap.model_card import is_our_card
from condswap.provenance import Mark

CONFIG, WEIGHTS, CARD = FILES = ("config.json", "model.safetensors", "README.md")
_Model = TypeVar("_Model", bound=nn.Module)

_ONE_A_LINE = 20  # classes; of more ten share a line, so that the number of a class is easily counted


def save(folder: Path, *, config: Mapping[str, Any], tensors: Mapping[str, Tensor], card: str) -> None:
    """Write a model, all of it or nothing; the config comes last, since it vouches for the weights.

    Raises:
        ConfigError: the model keeps something in its state that is no tensor.
        DataError: the disk refuses; what was there before stays.
    """
    weights = _serialised(tensors)
    described = {**config, "weights": {"sha256": hashlib.sha256(weights).hexdigest(), "bytes": len(weights)}}
    text = config_text(described)
    make_folder(folder)
    files = {folder / WEIGHTS: weights}
    if _is_ours(folder / CARD):
        files[folder / CARD] = card.encode()
    write_together({**files, folder / CONFIG: text.encode()})


def config_text(config: Mapping[str, Any]) -> str:
    """Write what stands in config.json: of very many classes ten share a line, everything else has a line of its own.

    Example:
        >>> print(config_text({"classes": ["anna", "bob"]}), end="")
        {
          "classes": [
            "anna",
            "bob"
          ]
        }
    """
    entries = []
    for key, value in config.items():
        text = json.dumps(value, indent=2, allow_nan=False)
        if key == "classes" and len(value) > _ONE_A_LINE:
            names = [json.dumps(name) for name in value]
            rows = [", ".join(names[start : start + 10]) for start in range(0, len(names), 10)]
            text = "[\n  " + ",\n  ".join(rows) + "\n]"
        # No text has a line break of its own: JSON escapes it.
        entries.append(f"  {json.dumps(key)}: " + text.replace("\n", "\n  "))
    return "{\n" + ",\n".join(entries) + "\n}\n"


def model_id(tensors: Mapping[str, Tensor]) -> str:
    """Give the name of a model by its weights: the checksum that its config.json vouches for when it is saved."""
    return hashlib.sha256(_serialised(tensors)).hexdigest()


def mark_of(model: nn.Module) -> Mark:
    """Give the mark for pictures that a model made: it names the model by its weights."""
    return Mark(model_id=model_id(model.state_dict()))


def find(
    name: str | Path,
    *,
    revision: str | None = None,
    subfolder: str | None = None,
    token: str | bool | None = None,
    cache_dir: str | Path | None = None,
) -> Path:
    """Give the folder of a model: the folder itself, or what was fetched from the Hub under that name."""
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder / subfolder if subfolder else folder
    if folder.is_file():
        raise HubError(f"{folder} is a file; give the folder that it is in, {folder.parent}")
    repo_id = str(name)
    if (
        isinstance(name, Path)
        or repo_id.count("/") != 1
        or repo_id.startswith((".", "/", "~"))
        or repo_id.endswith("/")
    ):
        raise HubError(f"there is no folder {repo_id}; give the folder of a saved model, or 'user/name' on the Hub")
    try:
        return hub.fetch(
            repo_id, files=(CONFIG, WEIGHTS), revision=revision, subfolder=subfolder, token=token, cache_dir=cache_dir
        )
    except HubError as error:
        raise HubError(f"there is no folder {repo_id} here, and from the Hub: {error}") from error.__cause__


def load(folder: Path, assemble: Callable[[Mapping[str, Any]], _Model]) -> _Model:
    """Build the model that a folder describes and give it its weights, all of them or none."""
    config = read_config(folder / CONFIG)
    with torch.random.fork_rng(devices=[]):  # loading a model leaves the caller's random numbers alone
        try:
            # First without memory: a config can ask for more weights than there is room for, or than the file holds.
            with torch.device("meta"):
                sketch = assemble(config)
        except CondswapError as error:
            raise type(error)(f"{folder / CONFIG}: {error}") from error
        tensors = read_weights(folder / WEIGHTS, config.get("weights"))
        check(sketch, tensors, folder / WEIGHTS)
        model = assemble(config)
    fit(model, tensors, folder / WEIGHTS)
    return model


def read_config(path: Path) -> Mapping[str, Any]:
    """Read config.json.

    Raises:
        ConfigError: it is no JSON object.
        HubError: it is not there.
    """
    try:
        config = json.loads(_read(path), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ConfigError(
            f"{path} is not JSON ({error}); it was cut off or edited: save or download the model again"
        ) from error
    if not isinstance(config, dict):
        raise ConfigError(f"{path} is not the config of a model but {type(config).__name__}; save or download it again")
    return config


def read_weights(path: Path, vouched: object) -> dict[str, Tensor]:
    """Read model.safetensors and hold it against the checksum in the config.

    Raises:
        DataError: it is cut off, no safetensors file, or not the one that was saved with the config.
        HubError: it is not there.
    """
    data = _read(path)
    cure = "save the model again, or delete the file and download it again"
    if isinstance(vouched, Mapping) and vouched.get("bytes") != len(data):
        raise DataError(f"{path} has {len(data)} bytes and its config.json vouches for {vouched.get('bytes')}; {cure}")
    try:
        tensors = load_tensors(data)
    except (SafetensorError, ValueError, KeyError) as error:
        raise DataError(f"{path} is not a whole safetensors file ({error}); {cure}") from error
    if not isinstance(vouched, Mapping):
        raise DataError(f"the config.json beside {path} does not say which weights it was saved with; {cure}")
    if vouched.get("sha256") != hashlib.sha256(data).hexdigest():
        raise DataError(f"{path} is not the file that was saved with its config.json: the checksums differ; {cure}")
    return tensors


def fit(model: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Give a model its weights, after every name, shape and kind has been checked; errors are those of `check`."""
    check(model, tensors, path)
    for name, own in model.state_dict(keep_vars=True).items():
        own.data = own.data.to(tensors[name].dtype)
    # Copied, not assigned, so that weights which a model uses in two places stay one.
    model.load_state_dict(dict(tensors), strict=True)


def check(model: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Check that weights are those of a model by name, shape and kind.

    Raises:
        DataError: weights are missing, or there are some that the model does not have.
        ShapeError: weights have another shape.
    """
    own = model.state_dict()
    missing, extra = sorted(set(own) - set(tensors)), sorted(set(tensors) - set(own))
    if missing or extra:
        raise DataError(
            f"{path} does not belong to this model: it lacks {_few(missing)} and has {_few(extra)} in excess; "
            "were its parts renamed or changed since it was saved?"
        )
    for name, tensor in tensors.items():
        if tensor.shape != own[name].shape:
            raise ShapeError(
                f"{path}: {name} is {tuple(tensor.shape)} and this model takes {tuple(own[name].shape)}; "
                "load it with the config.json that it was saved with"
            )
        if tensor.is_floating_point() != own[name].is_floating_point():
            raise DataError(
                f"{path}: {name} is {tensor.dtype} and this model takes {own[name].dtype}; save the model again"
            )


@contextmanager
def scratch() -> Iterator[Path]:
    """Give a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="condswap-") as folder:
        yield Path(folder)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise HubError(
            f"there is no {path.name} in {path.parent}; is it the folder of a saved condswap model?"
        ) from error
    except OSError as error:
        raise HubError(f"{path} cannot be read: {error.strerror}") from error


def _serialised(tensors: Mapping[str, Tensor]) -> bytes:
    return save_tensors(_apart(tensors), {"format": "pt"})


def _apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give the tensors as the file takes them: on the CPU, contiguous, none sharing its memory with another."""
    apart: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor):
            raise ConfigError(f"{name} in the model's state is a {type(tensor).__name__}; only tensors can be saved")
        tensor = tensor.detach().cpu().contiguous()
        memory = tensor.untyped_storage().data_ptr()
        apart[name] = tensor.clone() if memory in seen else tensor
        seen.add(memory)
    return apart


def _is_ours(card: Path) -> bool:
    """Say whether a model card may be written: there is none, or it is one of ours."""
    try:
        return is_our_card(card.read_text(encoding="utf-8", errors="replace"))
    except FileNotFoundError:
        return True
    except OSError:  # a folder of that name, or a file that is not for us
        return False


def _refuse_constant(word: str) -> None:
    raise ValueError(f"{word} is no JSON")


def _few(names: list[str]) -> str:
    if not names:
        return "nothing"
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")

"""A part of the network, which remembers the call that built it.

A `Component` remembers the call that built it, so a model is a JSON file: `config()` gives the call, `build` repeats it.
Defining a subclass registers its name; a config is looked up among the registered classes and nothing else, so reading
one never imports and never runs code that is not already there.
"""

import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self, TypeAlias, TypeGuard, TypeVar

import torch
from torch import nn

from condswap.errors import CondswapError, ConfigError

Config: TypeAlias = dict[str, Any]
_Role = TypeVar("_Role", bound="Component")


class Component(nn.Module, ABC):
    """A part of a network that remembers the call that built it.

    An argument of the constructor may be None, a bool, an int, a float, a str, a list or tuple of these, or another
    `Component`, so that the call can be written to a config file. Anything else raises `ConfigError` when the config is
    asked for, which the trainer does before the first step.

    Example:
        >>> from condswap import ConvEncoder
        >>> ConvEncoder((3, 64, 64), width=8).config()["width"]
        8
    """

    _known: ClassVar[dict[str, type["Component"]]] = {}
    _call: dict[str, Any]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Register the class under its name."""
        super().__init_subclass__(**kwargs)
        taken = Component._known.get(cls.__name__)
        if (
            taken is not None
            and taken.__module__.startswith("condswap.")
            and not cls.__module__.startswith("condswap.")
        ):
            raise ConfigError(f"{cls.__name__} is the name of a part of condswap; give your class another name")
        Component._known[cls.__name__] = cls

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Make the object and note the call; deepcopy and pickle come here without arguments."""
        self = super().__new__(cls)
        try:
            bound = inspect.signature(cls.__init__).bind(self, *args, **kwargs)
        except TypeError:  # a wrong call, which __init__ is about to report, or no call at all (deepcopy)
            return self
        bound.apply_defaults()
        call = dict(bound.arguments)
        call.pop(next(iter(call)))  # self
        self.__dict__["_call"] = {name: _own(value) for name, value in call.items()}
        return self

    def config(self) -> Config:
        """Give the call that built this part, as JSON: `{"type": class name, argument: value, ...}`.

        An argument that is a part is described as it is now, should it have been replaced since.

        Raises:
            ConfigError: an argument cannot be written down; it is named.
        """
        config: Config = {"type": type(self).__name__}
        parameters = inspect.signature(type(self).__init__).parameters
        for name, value in self.__dict__.get("_call", {}).items():
            where = f"{type(self).__name__}.{name}"
            if name == "type" or parameters[name].kind is inspect.Parameter.POSITIONAL_ONLY:
                raise ConfigError(
                    f"{where} cannot be put into a config, where it could not be given by this name; rename it"
                )
            if parameters[name].kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
                if not value:
                    continue
                raise ConfigError(f"{where}: *args and **kwargs cannot be put into a config; name each argument")
            now = getattr(self, name, None)
            config[name] = _encode(now if isinstance(value, Component) and isinstance(now, Component) else value, where)
        return config

    def check_growth(self) -> None:
        """Check that the part can take one more class.

        Raises:
            ConfigError: the part has classes in an `nn.Embedding`, which would not grow, or its constructor does not take
                their number as `num_classes`, so that the grown part could not be built again.
        """
        modules, parts = _inside(self, "check_growth")
        for part in parts:
            part.check_growth()
        for name, module in modules:
            if isinstance(module, Component) and hasattr(module, "num_classes"):
                call = module.__dict__.get("_call", {})
                held = any(isinstance(value, Component) and hasattr(value, "num_classes") for value in call.values())
                if "num_classes" not in call and not held:
                    raise ConfigError(
                        f"{type(module).__name__} cannot take one more class: its constructor has no argument num_classes, "
                        "so it could not be loaded again; name the argument so"
                    )
            if isinstance(module, nn.Embedding) and module.num_embeddings == getattr(self, "num_classes", None):
                raise ConfigError(
                    f"{type(self).__name__} cannot take one more class: its nn.Embedding {name!r} does not grow; "
                    "use condswap.parts.ClassEmbedding in its place, or override add_class and check_growth"
                )

    def add_class(self) -> None:
        """Make room for one more class at the end; the outputs for the others stay as they are.

        Every layer inside that keeps something per class, such as `ClassEmbedding`, grows by one. A part that keeps it
        in another way overrides this method.
        """
        if not hasattr(self, "num_classes"):
            return
        modules, parts = _inside(self, "add_class")
        for part in parts:
            part.add_class()
        for _, module in modules:
            if isinstance(module, Growing):
                module.grow()
            counts = isinstance(module, Component) and hasattr(module, "num_classes")
            follows = isinstance(getattr(type(module), "num_classes", None), property)  # the number of a part inside
            if counts and not follows:
                module.num_classes += 1
                if "num_classes" in module.__dict__.get("_call", {}):
                    module._call["num_classes"] = module.num_classes


class Growing(ABC):
    """A layer that keeps something for each class and can make room for one more."""

    @abstractmethod
    def grow(self) -> None:
        """Add one class at the end and leave the others as they are."""


def build(config: object, role: type[_Role]) -> _Role:
    """Repeat the call that a config describes.

    Args:
        config: what `Component.config` gave, `{"type": name, ...arguments}`.
        role: the role that the part must play, such as `Encoder`.

    Raises:
        ConfigError: the type is unknown here or plays another role, or its arguments do not fit.

    Example:
        >>> from condswap import ConvEncoder, Encoder
        >>> build(ConvEncoder((3, 64, 64)).config(), Encoder).out_shape
        (16, 4, 4)
    """
    if not isinstance(config, Mapping) or not isinstance(config.get("type"), str):
        raise ConfigError(f"a part is described by an object with a 'type'; this is {_short(config)}")
    name = config["type"]
    kind = Component._known.get(name)
    if kind is None or not issubclass(kind, role) or inspect.isabstract(kind):
        known = sorted(n for n, k in Component._known.items() if issubclass(k, role) and not inspect.isabstract(k))
        raise ConfigError(
            f"there is no {role.__name__} called {_short(name)} here; import the module that defines it, then load "
            f"again; known here: {', '.join(known)}"
        )
    try:
        arguments = {key: _decode(value) for key, value in config.items() if key != "type"}
    except RecursionError as error:
        raise ConfigError(f"the config of {name} is nested too deeply; was it edited?") from error
    try:
        inspect.signature(kind.__init__).bind(None, **arguments)
    except TypeError as error:
        raise ConfigError(f"the arguments of {name} do not fit: {error}; was it saved by another version?") from error
    try:
        return kind(**arguments)
    except CondswapError:
        raise
    except Exception as error:  # a file can hold any arguments, and a part of one's own can mind them in any way
        if torch.get_default_device().type == "meta" and not kind.__module__.startswith("condswap."):
            with torch.device("cpu"):  # a part of one's own that computes in its constructor needs real numbers
                return build(config, role)
        raise ConfigError(f"{name} cannot be built from its config: {error}") from error


def is_shape(value: object) -> TypeGuard[Sequence[int]]:
    """Say whether a value is a shape (channels, height, width) of whole numbers from 1 up."""
    return (
        isinstance(value, Sequence)
        and len(value) == 3
        and all(isinstance(size, int) and not isinstance(size, bool) and size > 0 for size in value)
    )


def is_number(value: object) -> TypeGuard[int | float]:
    """Say whether a value is a finite number, and no bool."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _inside(part: Component, method: str) -> tuple[list[tuple[str, Any]], list[Component]]:
    """List the modules in a part, itself included, and apart from them the parts in it that do `method` in their way."""
    modules: list[tuple[str, Any]] = []
    parts: list[Component] = []
    pending: list[tuple[str, nn.Module]] = [("", part)]
    while pending:
        name, module = pending.pop()
        if any(module is other for _, other in modules) or any(module is other for other in parts):
            continue
        if (
            module is not part
            and isinstance(module, Component)
            and getattr(type(module), method) is not getattr(Component, method)
        ):
            parts.append(module)
            continue
        modules.append((name, module))
        pending += [(f"{name}.{child}".removeprefix("."), inner) for child, inner in module.named_children()]
    return modules, parts


def _own(value: Any) -> Any:
    """Copy lists, so that the record does not change with the caller's list."""
    return [_own(item) for item in value] if isinstance(value, list | tuple) else value


def _encode(value: Any, where: str) -> Any:
    if isinstance(value, Component):
        return value.config()
    if isinstance(value, list):
        return [_encode(item, where) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{where} is {value}, which JSON cannot hold; use a finite number")
    if value is None or type(value) in (bool, int, float, str):
        return value
    raise ConfigError(
        f"{where} is a {type(value).__name__}, which cannot be put into a config; an argument is None, a bool, an int, "
        "a float, a str, a list of these, or another part: take a number or a word and build the object inside"
    )


def _decode(value: Any) -> Any:
    if isinstance(value, Mapping):
        return build(value, Component)
    return [_decode(item) for item in value] if isinstance(value, list) else value


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."

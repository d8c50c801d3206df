"""The contract kit: proves a part of your own, in a test of your own."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from condswap.component import Component, build, is_shape
from condswap.errors import ConfigError, ShapeError
from condswap.generator import evaluating
from condswap.roles import Bottleneck, Decoder, Discriminator, Encoder, Face
from condswap.types import Batch, Shape


def fake_batch(image_shape: Shape, *, num_classes: int, batch_size: int = 4, seed: int = 0) -> Batch:
    """Give a batch of noise with oval masks, for tests.

    Args:
        image_shape: (3, h, w).
        num_classes: the labels go round them.
        batch_size: how many pictures.
        seed: of the noise.

    Example:
        >>> fake_batch((3, 32, 32), num_classes=2)["label"].tolist()
        [0, 1, 0, 1]
    """
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(batch_size, *image_shape, generator=generator)
    down, across = (torch.linspace(-1, 1, size) for size in image_shape[1:])
    oval = ((down[:, None] / 0.8) ** 2 + (across[None, :] / 0.6) ** 2 <= 1).float()
    return Batch(
        image=image,
        mask=oval.expand(batch_size, 1, *image_shape[1:]).clone(),
        label=torch.arange(batch_size) % num_classes,
    )


@torch.random.fork_rng(devices=[])  # a part may draw noise in training
def check_component(part: Component) -> None:
    """Check that a part keeps the contract of its role.

    It is called with fake input of the shape that it states. Checked are: the shape, the kind and the finiteness of what it
    gives; that every weight gets a gradient; that a picture's result does not depend on its neighbours in evaluation mode;
    that a copy, and one built from its config with its weights, give the same; that a bottleneck bears not to know the
    person seen; that a part which says that it blends does; and that one more class leaves the others' results as they are.
    The part itself is left as it is.

    Args:
        part: an encoder, bottleneck, decoder or discriminator.

    Raises:
        ConfigError: it breaks the contract; the message says where.
        ShapeError: it gives another shape than it states.

    Example:
        >>> from condswap import ConvEncoder
        >>> check_component(ConvEncoder((3, 32, 32), width=8, stages=3))
    """
    name, given = type(part).__name__, part
    role = next((role for role in (Encoder, Bottleneck, Decoder, Discriminator) if isinstance(part, role)), None)
    if role is None:
        raise ConfigError(f"{name} plays no role; subclass Encoder, Bottleneck, Decoder or Discriminator")
    part = copy.deepcopy(given)  # statistics that move in training, and gradients, stay as they are
    call, wanted = _call(part, role)
    result = call(part)
    if not torch.isfinite(result).all() or not result.is_floating_point():
        raise ConfigError(
            f"{name} gives {result.dtype} with values that are no numbers for a picture of noise in [0, 1]"
        )
    if wanted is not None and tuple(result.shape[1:]) != tuple(wanted):
        raise ShapeError(f"{name} states out_shape {tuple(wanted)} and gives {tuple(result.shape[1:])}")
    if len(result) != 4:
        raise ShapeError(f"{name} was given 4 pictures and gives {len(result)} results")
    part.zero_grad(set_to_none=True)
    if any(weight.requires_grad for weight in part.parameters()):
        call(part).square().mean().backward()
    idle = [key for key, weight in part.named_parameters() if weight.requires_grad and weight.grad is None]
    if idle:
        raise ConfigError(f"{name}: no gradient reaches {', '.join(idle[:5])}; use it in forward, or leave it out")
    with evaluating(given), torch.no_grad():
        _check_copies(given, role, call)
        _check_labels(given, role, call)


def _check_copies(part: Component, role: type[Component], call: Callable[..., Tensor]) -> None:
    name, result = type(part).__name__, call(part)
    if not torch.allclose(call(part, first=True), result[:1], atol=1e-4):
        raise ConfigError(
            f"{name}: in evaluation mode the result for a picture depends on the other pictures in the batch"
        )
    if not torch.equal(call(copy.deepcopy(part)), result):
        raise ConfigError(f"{name}: a copy.deepcopy of it gives another result")
    twin = build(part.config(), role).eval()
    try:
        twin.load_state_dict(part.state_dict())
    except RuntimeError as error:
        raise ConfigError(f"{name}: one built from its config does not take its weights: {error}") from error
    if not torch.equal(call(twin), result):
        raise ConfigError(
            f"{name}: one built from its config with its weights gives another result; is all of it saved?"
        )
    if role is not Encoder:
        twin.check_growth()
        twin.add_class()
        if not torch.allclose(call(twin), result, atol=1e-6):
            raise ConfigError(f"{name}: one more class moves the results for the others")


def _check_labels(part: Component, role: type[Component], call: Callable[..., Tensor]) -> None:
    name = type(part).__name__
    if role is Bottleneck and not torch.isfinite(call(part, told=False)).all():
        raise ConfigError(f"{name} gives values that are no numbers where the class of the person seen is not known")
    if getattr(part, "blends", False) and not torch.allclose(call(part, soft=True), call(part), atol=1e-5):
        raise ConfigError(
            f"{name} says that it blends, and gives another result for all the weight on a class than for the class"
        )


def _call(part: Component, role: type[Component]) -> tuple[Callable[..., Tensor], Shape | None]:
    """Give a function that calls the part with fake input, and the shape that it states."""
    if role is not Encoder and not hasattr(part, "num_classes"):
        raise ConfigError(
            f"{type(part).__name__} does not state its num_classes; set self.num_classes in its constructor"
        )
    given = torch.rand((4, *_shape(part, "in_shape")), generator=torch.Generator().manual_seed(0))
    num_classes = int(getattr(part, "num_classes", 1))
    label = torch.arange(4) % num_classes

    def call(one: Component, *, first: bool = False, soft: bool = False, told: bool = True) -> Tensor:
        x, seen = (given[:1], label[:1]) if first else (given, label)
        to = one_hot(seen, num_classes).float() if soft else seen
        if role is Encoder:
            shown = one(x)
        elif role is Bottleneck:
            shown = one(x, to, seen if told else None)
        else:
            shown = one(x, to)
        if isinstance(shown, Face):
            return torch.cat([shown.image, shown.mask], dim=1)
        result: Tensor = shown
        return result

    shape = None if role is Discriminator else _shape(part, "out_shape")
    if role is Decoder and isinstance(part(given, label), Face):  # whose mask is a fourth channel to `call`
        shape = (4, *shape[1:]) if shape else None
    return call, shape


def _shape(part: Component, name: str) -> Shape:
    if not hasattr(part, name):
        raise ConfigError(f"{type(part).__name__} does not state its {name}; set self.{name} in its constructor")
    shape: object = getattr(part, name)
    if not is_shape(shape):
        raise ShapeError(f"{type(part).__name__}.{name} is {shape!r}; it is (channels, height, width)")
    return tuple(shape)

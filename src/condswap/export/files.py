"""Writing a graph to a file: exported, brought to the oldest format that it is wanted in, held against the model."""

import contextlib
import copy
import io
import json
import logging
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from condswap.errors import ConfigError
from condswap.export.graphs import DfmGraph, Known, OnnxGraph
from condswap.export.older import older
from condswap.files import write_atomically
from condswap.generator import AnyLabel, AnySource, Generator
from condswap.provenance import DIGITAL_SOURCE_TYPE
from condswap.templates import Template

OPSET, IR = 16, 8  # the newest that onnxruntime 1.11 reads, to which live applications are pinned
TOLERANCE = 1e-5
_LOOSEST = 1e-3  # where single precision is off by more, no file can be vouched for
_LARGEST = 2**31 - 2**20  # bytes: protobuf's limit, and room for the graph
_BATCHES = (1, 3)  # it is exported with 2


def export_onnx(
    generator: Generator, path: str | Path, *, to: AnyLabel, source: AnySource | None = None, model_id: str = ""
) -> None:
    """Write an ONNX file that shows pictures as one target; see `CGAN.export_onnx`."""
    graph = OnnxGraph(generator, to=to, source=source)
    told = _told(graph, model_id, layout="NCHW RGB")
    inputs = {"image": generator.encoder.in_shape}
    write_atomically(path, lambda file: file.write_bytes(_onnx(graph, inputs, outputs=("swapped", "mask"), told=told)))


def export_dfm(
    generator: Generator,
    path: str | Path,
    *,
    to: AnyLabel,
    source: AnySource | None = None,
    morph: bool = False,
    model_id: str = "",
    template: Template | None = None,
    crop: Template | None = None,
) -> None:
    """Write a DFM file, which shows the face in front of a camera as one target; see `CGAN.export_dfm`."""
    same = template is None or crop is None or template.points == crop.points
    turn = None if same or template is None or crop is None else crop.to(template)
    graph = DfmGraph(generator, to=to, source=source, crop=turn)
    if morph:
        generator.check_blends()
    channels, height, width = generator.encoder.in_shape
    inputs = {"in_face:0": (height, width, channels)}
    outputs = ("out_face_mask:0", "out_celeb_face:0", "out_celeb_face_mask:0")
    told = _told(graph, model_id, layout="NHWC BGR")
    taken = template if same else crop
    told |= {} if taken is None else {"crop": taken.name}
    scalar = "morph_value:0" if morph else None
    write_atomically(
        path, lambda file: file.write_bytes(_onnx(graph, inputs, outputs=outputs, told=told, scalar=scalar))
    )


def _told(graph: OnnxGraph | DfmGraph, model_id: str, *, layout: str) -> dict[str, str]:
    """Say in the file what it is."""
    classes = graph.one.generator.classes

    def named(label: Known | None) -> Any:
        if not isinstance(label, Tensor):
            return None if label is None else classes[label]
        return {name: weight for name, weight in zip(classes, label[0].tolist(), strict=True) if weight}

    return {
        "classes": json.dumps(list(classes)),
        "to": json.dumps(named(graph.one.target)),
        "source": json.dumps("a stranger" if graph.one.count else named(graph.one.source)),
        "range": "[0, 1]",
        "layout": layout,
        "model_id": model_id,
        "digital_source_type": DIGITAL_SOURCE_TYPE,
    }


def _onnx(
    graph: nn.Module,
    inputs: Mapping[str, Sequence[int]],
    *,
    outputs: Sequence[str],
    told: Mapping[str, str],
    scalar: str | None = None,
) -> bytes:
    """Give the file of a graph, whose results are the graph's.

    Args:
        graph: takes the inputs in their order, and the scalar last.
        inputs: the shape of each without the batch.
        outputs: the names of what it gives.
        told: words for the file's metadata.
        scalar: the name of an input (1) from 0 to 1.
    """
    _check_size(graph)
    try:
        import onnx
        import onnxruntime  # type: ignore[import-untyped]
        import onnxscript  # noqa: F401 (torch.onnx needs it)
    except ImportError as error:
        raise ConfigError(f'an export needs {error.name}: pip install "condswap[export]"') from error

    def examples(batch: int) -> dict[str, Tensor]:
        drawn = torch.Generator().manual_seed(batch)
        made = {name: torch.rand(batch, *shape, generator=drawn) for name, shape in inputs.items()}
        return made | ({scalar: torch.tensor([0.75])} if scalar else {})

    with torch.no_grad():
        graph(*examples(1).values())  # what the model itself refuses is said in its own words
    dims = [{0: torch.export.Dim("batch")} for _ in inputs] + ([None] if scalar else [])
    with _quiet(), torch.no_grad():
        try:
            program: Any = torch.onnx.export(
                graph,
                tuple(examples(2).values()),
                dynamo=True,
                opset_version=18,
                input_names=list(examples(1)),
                output_names=list(outputs),
                dynamic_shapes=tuple(dims),
                verbose=False,
            )
            model = older(program.model_proto, OPSET)
            model.ir_version = IR
            model.producer_name = "condswap"
            onnx.helper.set_model_props(model, dict(told))
            onnx.checker.check_model(model, full_check=True)
        except Exception as error:  # the exporters raise what they like, for parts of anybody's
            raise ConfigError(
                f"the model cannot be written as ONNX of opset {OPSET}: {_reason(error)}; a part of your own has to compute "
                "with tensors alone, by operations that are that old"
            ) from error
    data: bytes = model.SerializeToString()
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    _check_parity(graph, session, examples)
    return data


def _check_size(graph: nn.Module) -> None:
    """Refuse a model that one file cannot hold."""
    size = sum(tensor.nbytes for tensor in graph.state_dict().values())
    if size > _LARGEST:
        raise ConfigError(
            f"the generator has {size / 2**30:.1f} GiB of weights and an ONNX file holds 2 GiB; export a smaller model"
        )


def _check_parity(graph: nn.Module, session: Any, examples: Callable[[int], Mapping[str, Tensor]]) -> None:
    """Refuse a file that gives other results than the model, whatever the number of pictures."""
    for batch in _BATCHES:
        given = examples(batch)
        with torch.no_grad():
            ours: Sequence[Tensor] = graph(*given.values())
        try:
            results = session.run(None, {name: one.numpy() for name, one in given.items()})
        except Exception as error:  # onnxruntime's own kinds have no common parent
            raise ConfigError(
                f"the exported graph does not run for {batch} pictures: {_reason(error)}; a part of your own has to take the "
                "number of pictures from x.shape[0], not from len(x)"
            ) from error
        found = [torch.from_numpy(one) for one in results]
        apart, allowed = _apart(found, ours), TOLERANCE
        if not apart <= TOLERANCE:
            # Single precision itself is off by more in some trained networks, in PyTorch as elsewhere. Then both are held
            # against double precision, and the file may be off by four times as much as PyTorch is: how far each is off
            # differs from one processor to the next.
            exact = _exact(graph, given)
            apart, allowed = _apart(found, exact), min(max(TOLERANCE, 4 * _apart(ours, exact)), _LOOSEST)
        if not apart <= allowed:
            raise ConfigError(
                f"the exported graph gives something else than the model, by up to {apart:.2g} for {batch} pictures "
                f"({allowed:.2g} is let pass); nothing was written: does a part of your own draw random numbers, or "
                "compute with the number of pictures?"
            )


@torch.no_grad()
def _exact(graph: nn.Module, given: Mapping[str, Tensor]) -> Sequence[Tensor]:
    """Give the results in double precision, or in single where a part of somebody's own knows no other."""
    try:
        results: Sequence[Tensor] = copy.deepcopy(graph).double()(*(one.double() for one in given.values()))
    except RuntimeError:
        results = graph(*given.values())
    return results


def _apart(some: Sequence[Tensor], others: Sequence[Tensor]) -> float:
    """Give the largest difference between two lists of results: infinite where shapes differ, no number where one is none."""
    if [one.shape for one in some] != [one.shape for one in others]:
        return math.inf
    largest = [(one - other).abs().max().double() for one, other in zip(some, others, strict=True)]
    return float(torch.stack(largest).max())


def _reason(error: BaseException) -> str:
    """Give the first line of what lies at the bottom of an error."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:300]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what the exporter says of other libraries and of itself from the user."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    unread = io.StringIO()
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(unread), contextlib.redirect_stderr(unread):
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)

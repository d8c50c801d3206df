"""The stack machine that reads a pickle: what its instructions may do, and no more."""

import math
import mmap
import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from io import BytesIO
from typing import IO, Any, cast

from condswap.errors import DataError
from condswap.safe_pickle.values import DTYPES, Array

_DEEPEST = 16  # DeepFaceLab's own nest five deep
_LONGEST_NAME = 4096  # of what is kept to be used again: words, never data
_RANK = 8


class _Known(Enum):
    """What a name in a pickle stands for here."""

    NDARRAY = auto()
    DTYPE = auto()
    RECONSTRUCT = auto()
    SCALAR = auto()
    ENCODE = auto()
    BYTES = auto()
    ENUMERATION = auto()


_NAMES = {
    "numpy ndarray": _Known.NDARRAY,
    "numpy dtype": _Known.DTYPE,
    "numpy.core.multiarray _reconstruct": _Known.RECONSTRUCT,
    "numpy._core.multiarray _reconstruct": _Known.RECONSTRUCT,
    "numpy.core.multiarray scalar": _Known.SCALAR,
    "numpy._core.multiarray scalar": _Known.SCALAR,
    "_codecs encode": _Known.ENCODE,
    "__builtin__ bytes": _Known.BYTES,
    "samplelib.Sample SampleType": _Known.ENUMERATION,
    "facelib.FaceType FaceType": _Known.ENUMERATION,
}


@dataclass(frozen=True)
class _Dtype:
    kind: str


class _Blank:
    """An array that was begun and has no numbers yet."""


_MARK = object()


def loads(data: bytes | mmap.mmap, *, most: int = 2**20, row: Callable[[Any], Any] | None = None) -> Any:
    r"""Read a pickle, building plain values alone.

    Args:
        data: the pickle, or a mapped file that is read from where it stands.
        most: how many values it may make, 64 bytes each or so beside the bytes that they hold.
        row: what becomes of every item of the outermost list, as soon as it is there. Only the results are kept, and
            `most` counts anew: so a long list is never held in memory whole.

    Returns:
        None, bool, int, float, str, bytes, `Array`, and lists, tuples and dicts of these whose keys are str. A member of an
        enumeration is its number.

    Raises:
        DataError: it is broken, too large or too deep, or asks for anything else. The message is the reason alone.

    Example:
        >>> from condswap.safe_pickle import dumps
        >>> loads(dumps({"landmarks": [[1.5, 2.0]], "face_type": "head"}))
        {'landmarks': [[1.5, 2.0]], 'face_type': 'head'}
        >>> loads(b"cos\nsystem\n.")
        Traceback (most recent call last):
        ...
        condswap.errors.DataError: it asks for os.system, which is not read; DeepFaceLab writes no such thing
    """
    machine = _Machine(most, row)
    try:
        stream = cast("IO[bytes]", BytesIO(data) if isinstance(data, bytes) else data)
        for opcode, argument, _ in pickletools.genops(stream):
            machine.take(opcode.name, argument)
    except DataError:
        raise
    # A broken pickle makes pickletools and the stack fail in many ways, all of one meaning.
    except Exception as error:
        raise DataError(f"its pickle is broken: {str(error)[:200] or type(error).__name__}") from error
    return machine.result


class _Machine:
    """The stack, the memory, and what each instruction does with them."""

    def __init__(self, most: int, row: Callable[[Any], Any] | None) -> None:
        self.stack: list[Any] = []
        self.memory: dict[int, Any] = {}
        self.memorised = 0
        self.most, self.made, self.row = most, 0, row
        self.result: Any = None

    def take(self, name: str, argument: Any) -> None:
        """Carry out one instruction."""
        if name in _PUSHES:
            self.push(argument)
        elif name in _CONSTANTS:
            self.push(_CONSTANTS[name])
        elif name in _ACTIONS:
            _ACTIONS[name](self, argument)
        elif name not in ("PROTO", "FRAME"):
            raise DataError(
                f"its pickle has the instruction {name}, which is not read; DeepFaceLab writes no such thing"
            )

    def push(self, value: Any) -> None:
        self.made += 1
        if self.made > self.most:
            raise DataError(f"its pickle makes more than {self.most} values")
        self.stack.append(value)

    def pop(self) -> Any:
        value = self.stack.pop()
        if value is _MARK:
            raise DataError("its pickle is broken: a mark where a value should be")
        return value

    def to_mark(self) -> list[Any]:
        values: list[Any] = []
        while (value := self.stack.pop()) is not _MARK:  # an IndexError where there is none
            values.append(value)
        return values[::-1]

    def remember(self, number: int) -> None:
        value = self.stack[-1]
        short = isinstance(value, str | bytes) and len(value) <= _LONGEST_NAME
        flat = isinstance(value, tuple) and len(value) < _RANK and all(type(one) is int for one in value)
        # Numbers, words, types and shapes are used again; a list, a dict or an array that is would be in two places.
        keep = short or flat or value is None or isinstance(value, _Known | _Dtype | int | float)
        if keep:
            self.memory[number] = value
        else:
            self.memory.pop(number, None)
        self.memorised += 1

    def recall(self, number: int) -> None:
        if number not in self.memory:
            raise DataError(
                "its pickle has one value in two places, which is not read; DeepFaceLab writes no such thing"
            )
        self.push(self.memory[number])

    def append(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not list:
            raise DataError(f"its pickle appends to a {type(target).__name__}")
        if self.row is not None and len(self.stack) == 1:
            for value in values:
                _check_tree(value)
            values = [self.row(value) for value in values]
            self.made = 0
        target.extend(values)

    def set_items(self, values: list[Any]) -> None:
        target = self.stack[-1]
        keys = values[::2]
        if type(target) is not dict or len(values) % 2 or not all(type(key) is str for key in keys):
            raise DataError("its pickle has a dict whose keys are not all words")
        target.update(zip(keys, values[1::2], strict=True))

    def reduce(self) -> None:
        arguments, called = self.pop(), self.pop()
        self.push(_call(called, arguments))

    def build(self) -> None:
        state, target = self.pop(), self.pop()
        if isinstance(target, _Blank):
            self.stack.append(_array(state))
        elif isinstance(target, _Dtype) and type(state) is tuple and len(state) > 1 and state[1] in ("<", "|", "="):
            self.stack.append(target)
        else:
            raise DataError(f"its pickle gives a {type(target).__name__.strip('_')} a state that is not read")

    def stop(self) -> None:
        self.result = self.pop()
        if self.stack:
            raise DataError("its pickle is broken: it ends with values to spare")
        if self.row is None or type(self.result) is not list:
            _check_tree(self.result)


def _call(called: Any, arguments: Any) -> Any:
    """Give what a call stands for, of the few that are known; nothing is called."""
    match called, arguments:
        case _Known.RECONSTRUCT, (_Known.NDARRAY, (0,), b"b"):
            return _Blank()
        case _Known.DTYPE, (str(kind), *_) if kind in DTYPES:
            return _Dtype(kind)
        case _Known.DTYPE, (str(kind), *_):
            raise DataError(f"its pickle has an array of {kind[:20]!r}, which is not read; numbers are")
        case _Known.SCALAR, (_Dtype(kind), bytes(data)):
            return _array((1, (), _Dtype(kind), False, data)).tensor().item()
        case _Known.ENCODE, (str(text), "latin1"):
            return text.encode("latin1")
        case _Known.BYTES, ():  # how protocol 2 writes no bytes
            return b""
        case _Known.ENUMERATION, (int(number),):
            return number
    raise DataError("its pickle has a call that is not read; DeepFaceLab writes no such thing")


def _array(state: Any) -> Array:
    """Make an array of its state, which has to fit to the byte."""
    match state:
        case (int(), tuple(shape), _Dtype(kind), bool(by_columns), bytes(data)):
            whole = len(shape) <= _RANK and all(type(side) is int and side >= 0 for side in shape)
            if whole and math.prod(shape) * DTYPES[kind].itemsize == len(data):
                return Array(kind, shape, data, by_columns)
    raise DataError("its pickle has an array whose bytes do not fit its shape")


def _check_tree(value: Any) -> None:
    """Let nothing out but plain values, and no tree too deep to be walked."""
    level = [value]
    for _ in range(_DEEPEST):
        below: list[Any] = []
        for one in level:
            if isinstance(one, dict):
                below += one.values()
            elif isinstance(one, list | tuple):
                below += one
            elif one is not None and not isinstance(one, bool | int | float | str | bytes | Array):
                raise DataError("its pickle has a name or an unfinished array where a value should be")
        if not below:
            return
        level = below
    raise DataError(f"its pickle nests more than {_DEEPEST} deep")


def _named(machine: _Machine, name: str) -> None:
    if name not in _NAMES:
        told = ".".join(name.split(" "))[:80]
        raise DataError(f"it asks for {told}, which is not read; DeepFaceLab writes no such thing")
    machine.push(_NAMES[name])


def _stack_named(machine: _Machine) -> None:
    name, module = machine.pop(), machine.pop()
    if not isinstance(name, str) or not isinstance(module, str):
        raise DataError("its pickle is broken: a name that is no word")
    _named(machine, f"{module} {name}")


def _tuple(machine: _Machine, count: int) -> None:
    machine.push(tuple(reversed([machine.pop() for _ in range(count)])))


def _set_item(machine: _Machine) -> None:
    value, key = machine.pop(), machine.pop()
    machine.set_items([key, value])


_PUSHES = {"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"}
_PUSHES |= {"SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "SHORT_BINBYTES", "BINBYTES", "BINBYTES8"}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_ACTIONS: Mapping[str, Callable[[_Machine, Any], None]] = {
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "MARK": lambda machine, _: machine.push(_MARK),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.to_mark())),
    "TUPLE1": lambda machine, _: _tuple(machine, 1),
    "TUPLE2": lambda machine, _: _tuple(machine, 2),
    "TUPLE3": lambda machine, _: _tuple(machine, 3),
    "APPEND": lambda machine, _: machine.append([machine.pop()]),
    "APPENDS": lambda machine, _: machine.append(machine.to_mark()),
    "SETITEM": lambda machine, _: _set_item(machine),
    "SETITEMS": lambda machine, _: machine.set_items(machine.to_mark()),
    "BINPUT": lambda machine, number: machine.remember(number),
    "LONG_BINPUT": lambda machine, number: machine.remember(number),
    "MEMOIZE": lambda machine, _: machine.remember(machine.memorised),
    "BINGET": lambda machine, number: machine.recall(number),
    "LONG_BINGET": lambda machine, number: machine.recall(number),
    "GLOBAL": _named,
    "STACK_GLOBAL": lambda machine, _: _stack_named(machine),
    "REDUCE": lambda machine, _: machine.reduce(),
    "BUILD": lambda machine, _: machine.build(),
    "STOP": lambda machine, _: machine.stop(),
}

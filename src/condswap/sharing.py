"""A batch that several processes share: each has every n-th of its pictures, and some things need all of them.

Statistics over a batch, and random numbers a picture, come out as they would in one process. What speaks to the other
processes is given from outside; nothing here knows how.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor

from condswap.errors import ShapeError


class Share(NamedTuple):
    """The part of a batch that this process has: the pictures rank, rank + processes and so on.

    Attributes:
        rank: the number of this process.
        processes: how many there are.
        rows: the pictures of the whole batch.
        add: sums a tensor over all processes, each of which has to call it.
    """

    rank: int
    processes: int
    rows: int
    add: Callable[[Tensor], Tensor]

    @property
    def own_rows(self) -> int:
        """The pictures that are here."""
        return len(range(self.rank, self.rows, self.processes))

    def own(self, values: Tensor) -> Tensor:
        """Give the rows that are here out of those of the whole batch."""
        return values[self.rank :: self.processes]


_current: list[Share] = []


@contextmanager
def shared(share: Share) -> Iterator[None]:
    """Let the functions below know that a batch is shared."""
    _current.append(share)
    try:
        yield
    finally:
        _current.pop()


def drawn(count: int, draw: Callable[[int], Tensor]) -> Tensor:
    """Draw random rows for the pictures at hand, the same for each as where all are in one process.

    Args:
        count: the pictures that are here.
        draw: gives rows for so many pictures, those of the whole batch where these are a share of it.

    Example:
        >>> with shared(Share(1, 2, 4, add=torch.clone)):
        ...     drawn(2, torch.arange)
        tensor([1, 3])
    """
    share = _current[-1] if _current else None
    return draw(count) if share is None or count != share.own_rows else own(draw(share.rows))


def own(values: Tensor) -> Tensor:
    """Give the rows of this process out of those of the whole batch.

    Example:
        >>> with shared(Share(1, 2, 4, add=torch.clone)):
        ...     own(torch.arange(4))
        tensor([1, 3])
    """
    share = _current[-1] if _current else None
    return values if share is None else share.own(values)


def whole(values: Tensor) -> Tensor:
    """Give the rows of all processes, in the order of the whole batch; gradients flow back to where the rows are.

    Args:
        values: those of this process, (n, ...).

    Raises:
        ShapeError: this process has another number of rows, and the others would wait for ever.

    Example:
        >>> with shared(Share(1, 2, 4, add=torch.clone)):
        ...     whole(torch.tensor([5, 7]))
        tensor([0, 5, 0, 7])
    """
    share = _current[-1] if _current else None
    if share is None:
        return values
    if len(values) != share.own_rows:
        raise ShapeError(
            f"this process has {share.own_rows} of {share.rows} pictures and a part asks for the statistics of {len(values)}"
        )
    if not values.requires_grad:
        return _spread(values, share)
    joined: Tensor = _Whole.apply(values, share)  # type: ignore[no-untyped-call]
    return joined


def total_now() -> Callable[[Tensor], Tensor]:
    """Give the function that sums numbers over the processes of the batch at hand, to be called later.

    Example:
        >>> total_now()(torch.ones(2))
        tensor([1., 1.])
    """
    share = _current[-1] if _current else None
    return (lambda values: values) if share is None else share.add


def _spread(values: Tensor, share: Share) -> Tensor:
    joined = values.new_zeros((share.rows, *values.shape[1:]))
    joined[share.rank :: share.processes] = values
    return share.add(joined)


class _Whole(torch.autograd.Function):
    """Everybody's rows; each row's gradient is what all processes have to say about it."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, share: Share) -> Tensor:
        ctx.share = share
        return _spread(values, share)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        share: Share = ctx.share
        return share.own(share.add(gradient.clone(memory_format=torch.contiguous_format))), None

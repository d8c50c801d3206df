"""What can go wrong, by kind.

Every error that condswap raises on purpose is a `CondswapError`. Each kind is also the builtin that it resembles, so code
that knows nothing of condswap catches it too. A message says what came, what was needed and what to do.
"""


class CondswapError(Exception):
    """Anything that condswap refuses; catch this to catch them all."""


class ShapeError(CondswapError, ValueError):
    """Two shapes that have to fit do not."""


class ConfigError(CondswapError, ValueError):
    """An argument, a part or a config that cannot be used."""


class DataError(CondswapError, ValueError):
    """A picture, a label, a batch or a file whose content cannot be used."""


class HubError(CondswapError, OSError):
    """A model that cannot be fetched, read from its place, or published."""


class TrainingError(CondswapError, ArithmeticError):
    """A training run that cannot go on, such as one whose loss is no longer a number."""

"""OpenCV, where it is installed."""

from types import ModuleType

from condswap.errors import ConfigError


def require_opencv(doing: str) -> ModuleType:
    """Give OpenCV.

    Args:
        doing: what needs it, such as "finding faces".

    Raises:
        ConfigError: it is not installed; the message says what needs it, and the cure.
    """
    try:
        import cv2
    except ImportError as error:
        raise ConfigError(f'{doing} needs OpenCV: pip install "condswap[video]"') from error
    return cv2

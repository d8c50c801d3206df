"""What steps take, and what the machine is and can do at most: the yardsticks of `speed.py`."""

import datetime
import os
import platform
import re
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

Take = Callable[[Callable[[], bool]], None]  # takes steps until the function, called after each of them, says to stop


class Enough(Exception):  # noqa: N818
    """Ends a running `fit` from its hook, before it measures the statistics of the classes once more."""


def describe(device: str) -> dict[str, str | int]:
    """Say what is measured on, and when."""
    info = Path("/proc/cpuinfo")
    model = re.search(r"model name\s*: (.*)", info.read_text()) if info.exists() else None
    found: dict[str, str | int] = {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": f"{model[1] if model else platform.processor()} ({torch.backends.cpu.get_cpu_capability()})",
        "cores": os.cpu_count() or 0,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    if device == "cuda":
        found |= {"GPU": torch.cuda.get_device_name(), "CUDA": torch.version.cuda or "none"}
    return found


def now(device: str) -> float:
    """Give the time in seconds at which the device has done all that was asked of it."""
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def timed(call: Callable[[], object], seconds: float, device: str) -> list[float]:
    """Give the seconds that each of several calls took, three at least, after one that does not count."""
    call()
    found: list[float] = []
    while len(found) < 3 or sum(found) < seconds:
        begun = now(device)
        call()
        found.append(now(device) - begun)
    return found


def rate(take: Take, seconds: float, device: str) -> float:
    """Give steps a second of one turn, whose first step does not count."""
    times: list[float] = []

    def enough() -> bool:
        times.append(time.perf_counter() if times else now(device))
        done = len(times) > 1 and times[-1] - times[0] >= seconds
        if done:
            times[-1] = now(device)
        return done

    take(enough)
    return (len(times) - 1) / (times[-1] - times[0])


def steps(number: int) -> Callable[[], bool]:
    """Count steps."""
    left = iter(range(number - 1))
    return lambda: next(left, None) is None


def flops(take: Take) -> int:
    """Count the floating-point operations of one step."""
    with FlopCounterMode(display=False) as counter:
        take(steps(1))
    return counter.get_total_flops()


def ceilings(device: str) -> dict[str, float]:
    """Measure the floating-point operations a second of large works; the best of some calls, by precision and kind."""
    side, channels, count, pixels = (8192, 512, 64, 64) if device == "cuda" else (2048, 256, 4, 64)
    found: dict[str, float] = {}
    for dtype in (torch.float32, torch.bfloat16):
        square = torch.randn(side, side, device=device, dtype=dtype)
        maps = torch.randn(count, channels, pixels, pixels, device=device, dtype=dtype)
        kernel = torch.randn(channels, channels, 3, 3, device=device, dtype=dtype)
        maps, kernel = (one.to(memory_format=torch.channels_last) for one in (maps, kernel))
        works = {
            "product": (2 * side**3, lambda a=square: a @ a),
            "convolution": (18 * maps.numel() * channels, lambda a=maps, b=kernel: F.conv2d(a, b, padding=1)),
        }
        for kind, (work, call) in works.items():
            found[f"{str(dtype).removeprefix('torch.')} {kind}"] = work / min(timed(call, 0.5, device))
    return found


def resident(name: str) -> int:
    """Give the memory of this process in bytes, on Linux: "VmRSS" is that of now, "VmHWM" the most that it ever was.

    `ru_maxrss` would not do: a process inherits it from the one that started it.
    """
    return 1024 * int(re.search(rf"{name}:\s+(\d+)", Path("/proc/self/status").read_text())[1])

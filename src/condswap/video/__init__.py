"""Videos in and out: what a video is, its frames, and a new video with the sound of the old.

Nothing here knows of faces. Needs PyAV (`pip install "condswap[video]"`).

The way of a video: `probe` looks at it, `read_frames` gives its frames, `write_parts` encodes changed frames into small
files from which a killed run goes on (`finished_parts`), and `join` makes one video of them with the source's times and
sound. `ahead` lets a stage run in a thread of its own.
"""

from condswap.video.colours import Colours
from condswap.video.frames import Frame, read_frames
from condswap.video.information import VideoInfo, probe
from condswap.video.joining import check_output, join
from condswap.video.orientation import Orientation
from condswap.video.overlap import ahead
from condswap.video.parts import Finished, finished_parts, write_part, write_parts

__all__ = [
    "Colours",
    "Finished",
    "Frame",
    "Orientation",
    "VideoInfo",
    "ahead",
    "check_output",
    "finished_parts",
    "join",
    "probe",
    "read_frames",
    "write_part",
    "write_parts",
]

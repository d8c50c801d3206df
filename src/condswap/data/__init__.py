"""Faces to train on: a folder of pictures, procedural toy faces, their clips, and the changes that make more of them."""

from condswap.data.augment import Augmentation
from condswap.data.clips import Clip, find_clips
from condswap.data.face_folder import FaceFolder
from condswap.data.toy_faces import ToyFaces

__all__ = ["Augmentation", "Clip", "FaceFolder", "ToyFaces", "find_clips"]

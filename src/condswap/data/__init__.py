"""Faces to train on: folders of pictures, DeepFaceLab's facesets, toy faces, clips, and the changes that make more of them."""

from condswap.data.augment import Augmentation
from condswap.data.clips import Clip, find_clips
from condswap.data.dfl_face import DflFace, Polygon
from condswap.data.dfl_writing import put_mask, put_picture
from condswap.data.face_folder import FaceFolder
from condswap.data.packed import PackedFaces, pack
from condswap.data.toy_faces import ToyFaces

__all__ = [
    "Augmentation",
    "Clip",
    "DflFace",
    "FaceFolder",
    "PackedFaces",
    "Polygon",
    "ToyFaces",
    "find_clips",
    "pack",
    "put_mask",
    "put_picture",
]

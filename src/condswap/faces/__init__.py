"""Faces in pictures: found, aligned, followed through a video, and blended back."""

from condswap.faces.face_api import FaceApiExpression, FaceApiIdentity
from condswap.faces.find import Face, FaceFinder
from condswap.faces.mesh import Expression
from condswap.faces.mobile_face import MobileFaceIdentity

__all__ = ["Expression", "Face", "FaceApiExpression", "FaceApiIdentity", "FaceFinder", "MobileFaceIdentity"]

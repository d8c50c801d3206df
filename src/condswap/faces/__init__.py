"""Faces in pictures: found, aligned, followed through a video, and blended back."""

from condswap.faces.find import Face, FaceFinder

__all__ = ["Face", "FaceFinder"]

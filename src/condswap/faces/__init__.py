"""Faces in pictures: found, aligned, followed through a video, and blended back."""

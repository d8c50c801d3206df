"""What was trained in DeepFaceLab, opened in PyTorch."""

from condswap.deepfacelab.saehd import load_saehd

__all__ = ["load_saehd"]

"""Models as files for other programs: ONNX, and the DFM of live applications."""

from condswap.export.files import export_dfm, export_onnx

__all__ = ["export_dfm", "export_onnx"]

"""The pickles that DeepFaceLab writes, read without unpickling: plain values and arrays come out, nothing is ever called.

A pickle is a program for a small stack machine. This one knows the instructions that DeepFaceLab's files are made of and
the few names in them (NumPy's arrays, types and numbers, two enumerations); it looks names up in a table of its own,
imports nothing, and refuses everything else. What comes out is a tree no larger than the file: nothing is in it twice,
so that a small file cannot describe a large structure.
"""

from condswap.safe_pickle.reading import loads
from condswap.safe_pickle.values import Array
from condswap.safe_pickle.writing import dumps

__all__ = ["Array", "dumps", "loads"]

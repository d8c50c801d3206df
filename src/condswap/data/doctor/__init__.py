"""The doctor: what is wrong with a folder of faces, before training on it costs hours."""

from condswap.data.doctor.diagnosis import Diagnosis, Finding, Person
from condswap.data.doctor.examine import examine

__all__ = ["Diagnosis", "Finding", "Person", "examine"]

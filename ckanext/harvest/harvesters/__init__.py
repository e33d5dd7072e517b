"""The harvesters of the bundle, and the base class for others."""

from .base import HarvesterBase
from .ckanharvester import CKANHarvester

__all__ = ["CKANHarvester", "HarvesterBase"]

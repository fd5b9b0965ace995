"""From label maps to shapes, vertebral parts and frames."""

from kambin.reconstruction.reconstruct import reconstruct

__all__ = ["reconstruct"]

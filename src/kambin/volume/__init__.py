"""Where voxels are (`Grid`) and what they hold (`Scan`, `Segmentation`)."""

from kambin.volume.grid import Grid, canonical
from kambin.volume.scan import Scan
from kambin.volume.segmentation import Segmentation

__all__ = ["Grid", "Scan", "Segmentation", "canonical"]

"""Files: one module a format. The only room that knows NIfTI, NRRD, MetaImage and DICOM, and RAS against LPS."""

from kambin.io.info import FileInfo, describe
from kambin.io.read import read_scan, read_segmentation

__all__ = ["FileInfo", "describe", "read_scan", "read_segmentation"]

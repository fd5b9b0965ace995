"""The digital patient: lumbosacral anatomy as exact shapes, its known truth, and the scanners that see it."""

from kambin.phantom.parameters import PatientParameters, described_parameters
from kambin.phantom.patient import Patient, build_patient
from kambin.phantom.population import sample
from kambin.phantom.raster import Layer, Piece, paint_labels, paint_signal
from kambin.phantom.scanner import SCANNERS, grid_about, middle_mm, simulate, usual_grid
from kambin.phantom.tissue import Tissue
from kambin.phantom.tissue_map import MappedTissue, paint_tissues
from kambin.phantom.view import levels_of, view_of

__all__ = [
    "SCANNERS",
    "Layer",
    "MappedTissue",
    "Patient",
    "PatientParameters",
    "Piece",
    "Tissue",
    "build_patient",
    "described_parameters",
    "grid_about",
    "levels_of",
    "middle_mm",
    "paint_labels",
    "paint_signal",
    "paint_tissues",
    "sample",
    "simulate",
    "usual_grid",
    "view_of",
]

"""A trained `lumbosacral-any` made the one that Kambin ships: its model card filled in, its log kept.

    python studies/ship_model.py RUN

RUN is the output of ``kambin train --system lumbosacral-any``. The model goes to ``src/kambin/segmentation/models``, its log and settings
to ``docs/results``.
"""

from __future__ import annotations

import argparse
import json
import zipfile
from pathlib import Path

from kambin.segmentation.bundle import DEFAULT, SETTINGS
from kambin.segmentation.export import OTHERS, write_bundle

ROOT = Path(__file__).parent.parent
CREDITS = [
    "bones and discs of the surfaces: Remus et al. 2021, PLoS ONE 16(4):e0250456, BSD-3-Clause, Visible Human Male",
    "psoas: BodyParts3D, (c) The Database Center for Life Science, CC BY 4.0",
    "skin: HRA 3D reference (HuBMAP), CC BY 4.0",
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    run: Path = parser.parse_args().run
    with zipfile.ZipFile(run / "model.zip") as archive:
        settings = json.loads(archive.read(SETTINGS))
        network = archive.read(settings["model"])
        others = archive.read(OTHERS) if OTHERS in archive.namelist() else None
    settings["card"] = {
        "use": "research, not clinical use",
        "data": "pictures drawn in any contrast from maps of tissues of digital patients: docs/lumbosacral-any.md",
        "real_scans_trained_on": 0,
        "credits": CREDITS,
        "licence": "Apache-2.0",
        "limits": "docs/lumbosacral-any.md",
        "results": "docs/results/segmentation.md",
        **{key: value for key, value in settings["card"].items() if key != "trained_on"},
    }
    write_bundle(ROOT / "src" / "kambin" / "segmentation" / "models" / f"{DEFAULT}.zip", settings, network, others)
    for name in ("log.csv", "training.json"):
        (ROOT / "docs" / "results" / f"{DEFAULT}-{name}").write_bytes((run / name).read_bytes())


if __name__ == "__main__":
    main()

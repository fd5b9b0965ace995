"""A trained `lumbosacral-any` made the one that Kambin ships: its model card filled in, its log kept.

    python studies/ship_model.py RUN [--before MODEL]

RUN is the output of ``kambin train --system lumbosacral-any``. With ``--before``, the model that the training began with, what ships has
the mean of both's weights, which keeps on real scans most of what either does better (Wortsman 2022, arXiv:2109.01903). The model goes to
``src/kambin/segmentation/models``, its log and settings to ``docs/results``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

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
    parser.add_argument("--before", type=Path)
    arguments = parser.parse_args()
    run: Path = arguments.run
    with zipfile.ZipFile(run / "model.zip") as archive:
        settings = json.loads(archive.read(SETTINGS))
        network = archive.read(settings["model"])
        others = archive.read(OTHERS) if OTHERS in archive.namelist() else None
    if arguments.before is not None:
        network, others = mean_of(run / "model.zip", arguments.before)
        settings["sha256"] = hashlib.sha256(network).hexdigest()
        settings["card"]["weights"] = "the mean of those before and after the last training; the Dice is of those after it"
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


def mean_of(*models: Path) -> tuple[bytes, bytes | None]:
    """A network with the mean of several models' weights, as ONNX, and what that does not hold."""
    from kambin.segmentation import any_model
    from kambin.segmentation.export import load_weights, onnx_bytes, other_weights
    from kambin.segmentation.networks import build_network

    networks = [build_network("compact", len(any_model.CLASSES), any_model.NETWORK) for _ in models]
    for network, model in zip(networks, models, strict=True):
        load_weights(network, model)
    weights: list[dict[str, Any]] = [network.state_dict() for network in networks]
    networks[0].load_state_dict({name: sum(one[name] for one in weights) / len(weights) for name in weights[0]})
    content = onnx_bytes(networks[0])
    return content, other_weights(networks[0], content)


if __name__ == "__main__":
    main()

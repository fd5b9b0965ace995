"""Small pieces of SVG as text: pictures drawn over pictures. Everything here is in picture units, y down."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import numpy.typing as npt

LABEL_HEIGHT = 28.0
_CHARACTER_WIDTH = 9.9  # of the label type at 18 units; the text is set to this width exactly, whatever the font
_EDGE = 10.0


@dataclass(frozen=True, slots=True)
class Label:
    """Words for one thing in a picture: where it points to, what it says (`symbol` in bold), its colour."""

    anchor: tuple[float, float]
    symbol: str
    text: str
    colour: str

    @property
    def width(self) -> float:
        return self.text_width + 14.0

    @property
    def text_width(self) -> float:
        return (len(self.symbol) * 1.12 + len(self.text) + (1 if self.text else 0)) * _CHARACTER_WIDTH


def number(value: float) -> str:
    """A coordinate to a tenth of a unit, as short as it can be."""
    text = f"{value:.1f}"
    return text[:-2] if text.endswith(".0") else text


def path_data(points: npt.NDArray[np.float64], closed: bool) -> str:
    """The ``d`` of a polyline, shape (n, 2)."""
    steps = " ".join(f"{number(x)},{number(y)}" for x, y in points)
    return f"M{steps}{'Z' if closed else ''}"


def path(points: npt.NDArray[np.float64], css: str, *, closed: bool = False, style: str = "", title: str = "") -> str:
    """A polyline of a CSS class; `title` is shown when pointed at."""
    hint = f"<title>{escape(title)}</title>" if title else ""
    extra = f' style="{escape(style)}"' if style else ""
    return f'<path class="{css}" d="{path_data(points, closed)}"{extra}>{hint}</path>'


def dot(centre: npt.NDArray[np.float64], css: str, radius: float = 3.6, *, style: str = "", title: str = "") -> str:
    """A filled circle."""
    x, y = (float(value) for value in centre)
    extra = f' style="{escape(style)}"' if style else ""
    hint = f"<title>{escape(title)}</title>" if title else ""
    return f'<circle class="{css}" cx="{number(x)}" cy="{number(y)}" r="{number(radius)}"{extra}>{hint}</circle>'


def text(x: float, y: float, words: str, css: str, anchor: str = "start") -> str:
    """One line of text."""
    return f'<text class="{css}" x="{number(x)}" y="{number(y)}" text-anchor="{anchor}">{escape(words)}</text>'


def embedded(image: npt.NDArray[np.uint8], quality: int = 86) -> str:
    """A picture, shape (height, width, 3) or (height, width), as a data address (WebP, or JPEG where there is no WebP)."""
    from PIL import Image, features

    kind = "WEBP" if features.check("webp") else "JPEG"
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, kind, quality=quality)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Positions in ascending order, each as near to its wanted one as `gap` between neighbours and the bounds allow.

    Where the bounds are too narrow for the gap, the gap shrinks.
    """
    if not wanted:
        return []
    gap = min(gap, (high - low) / max(1, len(wanted) - 1))
    placed: list[list[float]] = []  # blocks: [sum of (wanted - offset), count]
    for index, position in enumerate(wanted):
        placed.append([position - index * gap, 1.0])
        while len(placed) > 1 and placed[-2][0] / placed[-2][1] > placed[-1][0] / placed[-1][1]:
            total, count = placed.pop()
            placed[-1][0] += total
            placed[-1][1] += count
    starts = [total / count for total, count in placed for _ in range(int(count))]
    top = high - gap * (len(wanted) - 1)
    return [min(max(start, low), top) + index * gap for index, start in enumerate(starts)]


def labels(items: Iterable[Label], width: float, height: float, *, top: float = 50.0, bottom: float = 46.0) -> list[str]:
    """Labels in two columns at the picture's edges with straight leaders, none over another.

    A label goes to the side its anchor is nearer to (of the picture; of the anchors' own span where they lie far apart), unless
    that column is full and the other is not.
    """
    items = list(items)
    places = [label.anchor[0] for label in items]
    middle = width / 2.0
    if places and max(places) - min(places) > width / 6.0:
        middle = (max(places) + min(places)) / 2.0
    room = max(1, int((height - top - bottom) // LABEL_HEIGHT))
    columns: dict[bool, list[Label]] = {True: [], False: []}
    for item in sorted(items, key=lambda label: abs(label.anchor[0] - middle), reverse=True):
        left = item.anchor[0] < middle
        if len(columns[left]) >= max(room // 2, 5) and len(columns[not left]) < len(columns[left]):
            left = not left
        columns[left].append(item)
    parts: list[str] = []
    for left, column in columns.items():
        column.sort(key=lambda label: label.anchor[1])
        rows = spread([label.anchor[1] for label in column], LABEL_HEIGHT + 4.0, top, height - bottom)
        for label, y in zip(column, rows, strict=True):
            parts.append(_one_label(label, left, y, width))
    return parts


def _one_label(label: Label, left: bool, y: float, width: float) -> str:
    box = _EDGE if left else width - _EDGE - label.width
    near = box + label.width if left else box
    x, anchor_y = label.anchor
    line = f'd="M{number(near)},{number(y)} {number(x)},{number(anchor_y)}"'
    leader = f'<path class="halo leader" {line}/><path class="leader" {line} style="stroke:{label.colour}"/>'
    rest = f" {escape(label.text)}" if label.text else ""
    return (
        f'<g class="label">{leader}'
        f'<rect x="{number(box)}" y="{number(y - LABEL_HEIGHT / 2)}" width="{number(label.width)}" height="{number(LABEL_HEIGHT)}"'
        f' rx="5" style="stroke:{label.colour}"/>'
        f'<text x="{number(box + label.width / 2)}" y="{number(y + 6.3)}" text-anchor="middle" '
        f'textLength="{number(label.text_width)}" lengthAdjust="spacingAndGlyphs">'
        f'<tspan class="symbol" style="fill:{label.colour}">{escape(label.symbol)}</tspan>{rest}</text></g>'
    )


def scale_bar(mm_per_px: float, height: float, length_mm: float = 20.0) -> str:
    """A bar of a stated length in the lower left corner."""
    length = length_mm / mm_per_px
    y = height - 16.0
    return (
        f'<g class="scale"><path d="M14,{number(y - 5)} 14,{number(y)} {number(14 + length)},{number(y)} '
        f'{number(14 + length)},{number(y - 5)}"/>{text(14 + length / 2, y - 9, f"{length_mm:.0f} mm", "scale-text", "middle")}</g>'
    )


def edge_words(width: float, height: float, left: str, right: str, top: str, bottom: str) -> str:
    """Which way the picture's four edges lie in the patient; left and right stand in the upper corners, clear of the labels."""
    return "".join(
        (
            text(12, 24, left, "edge"),
            text(width - 12, 24, right, "edge", "end"),
            text(width / 2, 24, top, "edge", "middle"),
            text(width / 2, height - 10, bottom, "edge", "middle"),
        )
    )


def canvas(width: int, height: int, inside: Iterable[str], description: str, css: str) -> str:
    """A whole picture with its description for those who cannot see it."""
    body = "".join(inside)
    return (
        f'<svg class="picture {css}" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(description)}" '
        f'xmlns="http://www.w3.org/2000/svg">{body}</svg>'
    )

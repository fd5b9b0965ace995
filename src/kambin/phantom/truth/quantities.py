"""The quantities that a digital patient has true values of; keys and symbols are those of the measures."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from kambin.phantom.truth.value import Quantity

_TABLE = (
    ("foraminal_area", "FA", "foraminal area", "mm²", "Area of the hole in the lateral silhouette of one half of the segment, between the "
     "mid-sagittal plane and the lateral border of the upper pedicle; a gap in its rim is closed in its mouth, where a disc a millimetre "
     "wider than the gap sticks."),
    ("foraminal_height", "FH", "foraminal height", "mm", "Extent of that hole along the segment's cranial axis."),
    ("foraminal_width", "FW", "foraminal width", "mm", "Shortest distance from the postero-inferior corner of the upper body, the point of "
     "its side view furthest backwards and downwards alike, to the rim behind it, within 50° of straight back."),
    ("narrowest_foraminal_section", "FA₃", "narrowest foraminal section", "mm²", "Smallest cross-section of the free foraminal passage "
     "parallel to the mid-sagittal plane, between the medial and the lateral border of the upper pedicle; bridged as the hole."),
    ("disc_height_anterior", "DHa", "anterior disc height", "mm", "Distance between the endplates along the segment's cranial axis in the "
     "mid-sagittal plane, a tenth of their common depth behind the anterior edge."),
    ("disc_height_middle", "DHm", "middle disc height", "mm", "The same at the middle of their common depth."),
    ("disc_height_posterior", "DHp", "posterior disc height", "mm", "The same a tenth of their common depth before the posterior edge."),
    ("disc_wedge_angle", "DW", "disc wedge angle", "°", "Angle between the planes of the two endplates over their common footprint, "
     "without two millimetres of rim, in the sagittal plane; positive when the disc is higher in front."),
    ("slip_mm", "SL", "slip", "mm", "Offset of the posterior corners (posterior wall line, endplate line) of the facing endplates along "
     "the lower endplate in the mid-sagittal plane; positive when the upper vertebra lies forward."),
    ("slip_percent", "SL%", "slip of endplate depth", "%", "Slip as a fraction of the depth of the lower bone's upper endplate."),
    ("segment_angle", "SA", "segment angle", "°", "Angle between the upper endplates of the two bones in the mean sagittal plane."),
    ("canal_area", "CA", "canal area in the disc mid-plane", "mm²", "Area of the dural sac in the disc mid-plane."),
    ("canal_ap_diameter", "CD", "canal antero-posterior diameter in the disc mid-plane", "mm", "Its longest chord along *anterior* there."),
    ("iliac_crest_height", "ICH", "iliac crest height over the disc", "mm", "Signed distance from the disc mid-plane to the top of the "
     "iliac crest: as high along the column as the hip bone reaches, over the middle of its upper two millimetres; positive "
     "above the disc."),
    ("oblique_corridor", "OC", "oblique corridor", "mm", "Shortest distance in the disc mid-plane from the left psoas to the aorta, or to "
     "the left common iliac artery where the aorta has divided."),
    ("aorta_diameter", "DAA", "aortic diameter", "mm", "Largest diameter of the aorta's section in the disc mid-plane."),
    ("cava_diameter", "DIVC", "vena cava diameter", "mm", "Largest diameter of the vena cava's section in the disc mid-plane."),
    ("psoas_to_cava", "PI", "right psoas to vena cava", "mm", "Shortest distance between them in the disc mid-plane."),
    ("body_height_anterior", "VHa", "anterior body height", "mm", "Distance between the endplates along the vertebra's cranial axis in its "
     "mid-sagittal plane, a tenth of their common depth behind the anterior edge."),
    ("body_height_middle", "VHm", "middle body height", "mm", "The same at the middle of their common depth."),
    ("body_height_posterior", "VHp", "posterior body height", "mm", "The same a tenth of their common depth before the posterior edge."),
    ("body_width", "VW", "body width", "mm", "Extent of the body along the vertebra's right axis at mid-height."),
    ("body_depth", "VD", "body depth", "mm", "Extent of the bone's body along the vertebra's anterior axis through its middle."),
    ("pedicle_width", "PW", "pedicle width", "mm", "Smallest caliper, within 30° of the vertebra's right axis, of the pedicle's smallest "
     "section."),
    ("pedicle_height", "PH", "pedicle height", "mm", "Extent along the vertebra's cranial axis of the pedicle's smallest section."),
    ("canal_area_pedicle", "CAₚ", "canal area at pedicle height", "mm²", "Area of the dural sac in the plane across the vertebra at the "
     "height of its pedicles."),
    ("canal_ap_diameter_pedicle", "CDₚ", "canal antero-posterior diameter at pedicle height", "mm", "Its longest chord along *anterior*."),
    ("lordosis", "LL", "lumbar lordosis L1–S1", "°", "Angle between the upper endplates of L1 and S1 in the mean sagittal plane."),
    ("sacral_slope", "SS", "sacral slope", "°", "Angle between the upper endplate of S1 and the axial plane, in the mean sagittal plane."),
    ("facet_to_nerve", "Line A", "facet to nerve", "mm", "Shortest distance from point a to the exiting root; a lies in the most "
     "anterior corner, behind the disc, between the two bones' outlines seen along the segment's right axis (where the superior articular "
     "process passes the arch above it), midway between where that line of sight touches the two."),
    ("facet_to_nerve_45", "FN45", "facet to nerve at 45°", "mm", "Room between superior articular process and exiting root for what goes "
     "straight in at 45° to the mid-sagittal plane, in the plane of the disc's upper border; negative where the one hides the other."),
    ("facet_to_nerve_60", "FN60", "facet to nerve at 60°", "mm", "The same at 60°."),
    ("nerve_to_disc", "ND", "exiting root to disc", "mm", "Shortest distance from the exiting root to the disc."),
    ("nerve_to_pedicle", "NP", "exiting root to pedicle", "mm", "Shortest distance from the exiting root to the pedicle that it passes "
     "under."),
    ("kambin_triangle", "KT", "Kambin triangle", "mm²", "Seen 45° obliquely along the disc, hip bones left out: area of the region beneath "
     "and medial to the exiting root in which the disc or the upper body is seen, before any other bone, root or sac."),
    ("kambin_triangle_corners", "KTt", "Kambin triangle, three corners", "mm²", "Area of the largest triangle with its corners on the "
     "outline of that region."),
    ("kambin_triangle_circle", "KTd", "Kambin triangle, inscribed circle", "mm", "Diameter of the largest circle within that region."),
    ("kambin_triangle_largest", "KT*", "Kambin triangle at its largest", "mm²", "The largest area of such a region, hip bones in the way "
     "too, over views 20° to 60° oblique and 20° caudal to 30° cranial."),
    ("kambin_triangle_oblique", "KT*o", "Kambin triangle's best view, oblique", "°", "Oblique angle of that view, from the segment's "
     "mid-sagittal plane."),
    ("kambin_triangle_cranial", "KT*c", "Kambin triangle's best view, cranial", "°", "Angle of that view to the disc mid-plane, positive "
     "from above."),
    ("safe_triangle", "ST", "safe triangle", "mm²", "Seen 20° obliquely along the disc, hip bones left out: area of the region above the "
     "exiting root and below the lower edge of the upper pedicle in which the upper body is seen, before anything else."),
    ("safe_triangle_corners", "STt", "safe triangle, three corners", "mm²", "Area of the largest triangle with its corners on the outline "
     "of that region."),
    ("safe_triangle_circle", "STd", "safe triangle, inscribed circle", "mm", "Diameter of the largest circle within that region."),
    ("safe_triangle_largest", "ST*", "safe triangle at its largest", "mm²", "The largest area of such a region, hip bones in the way too, "
     "over views 15° to 35° oblique and 20° caudal to 20° cranial."),
    ("safe_triangle_oblique", "ST*o", "safe triangle's best view, oblique", "°", "Oblique angle of that view, from the segment's "
     "mid-sagittal plane."),
    ("safe_triangle_cranial", "ST*c", "safe triangle's best view, cranial", "°", "Angle of that view to the disc mid-plane, positive from "
     "above."),
    ("interlaminar_width", "IWw", "interlaminar window width", "mm", "Distance along *right*, seen from behind along the segment's "
     "anterior axis, from facet to facet, each halfway up its half of the window between the two arches."),
    ("interlaminar_height", "IWh", "interlaminar window height", "mm", "Height of one half of that window: from arch to arch, mean over "
     "the three millimetres medial to the facet joint where that is most."),
    ("skin_behind", "SKp", "skin behind the disc", "mm", "From the disc space's posterior edge straight back to the skin."),
    ("skin_beside", "SKl", "skin beside the disc", "mm", "From the disc's centroid straight sideways to the skin."),
)  # fmt: skip

QUANTITIES: Mapping[str, Quantity] = MappingProxyType({row[1]: Quantity(*row) for row in _TABLE})
"""By symbol."""
PAIRED = ("FA", "FH", "FW", "FA₃", "PW", "PH", "ICH")
"""Those whose left minus right is a row too, as in the measures."""


def difference_of(quantity: Quantity) -> Quantity:
    """The quantity *left minus right*."""
    definition = f"{quantity.name.capitalize()} on the left minus that on the right."
    name = f"{quantity.name}, left minus right"
    return Quantity(f"{quantity.key}_left_minus_right", f"Δ{quantity.symbol}", name, quantity.unit, definition)

"""Numbers as the command line writes them."""

from __future__ import annotations


def three_numbers(text: str) -> tuple[float, float, float] | None:
    """Three numbers between commas, or one for all three; None where the text is neither.

    >>> three_numbers("1.5,1.5,2")
    (1.5, 1.5, 2.0)
    >>> three_numbers("0.8")
    (0.8, 0.8, 0.8)
    """
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        return None
    if len(numbers) == 1:
        numbers *= 3
    return (numbers[0], numbers[1], numbers[2]) if len(numbers) == 3 else None

"""One family of exceptions, written to be read by the person at the keyboard.

`KambinError` is the parent of everything Kambin raises on purpose. `InputError` is the user's to mend (exit status 2); anything
else that escapes is a fault of ours (exit status 1).
"""

from __future__ import annotations


class KambinError(Exception):
    """Base of all errors that Kambin raises on purpose."""


class InputError(KambinError):
    """A file, an argument or a combination of them that cannot be used.

    Parameters
    ----------
    subject
        The file or argument at fault, as the user named it.
    problems
        One sentence for each thing that is wrong: what was expected and what was found. All of them are said at once.
    hint
        What the user can do about it, if we know.
    """

    def __init__(self, subject: object, *problems: str, hint: str | None = None) -> None:
        if not problems:
            raise TypeError("InputError needs at least one problem")
        self.subject = str(subject)
        self.problems = problems
        self.hint = hint
        text = f"{self.subject}: " + "; ".join(problem.rstrip(".") for problem in problems) + "."
        super().__init__(text if hint is None else f"{text} {hint}")

    def __reduce__(self) -> tuple[object, ...]:
        """So that it comes through from another process whole: exceptions are pickled by their one text otherwise."""
        return (_again, (type(self), self.subject, self.problems, self.hint))


def _again(kind: type[InputError], subject: str, problems: tuple[str, ...], hint: str | None) -> InputError:
    return kind(subject, *problems, hint=hint)


class OutputError(InputError):
    """A place that cannot be written to: not permitted, full, or holding an earlier run."""


class NoSpineError(InputError):
    """A scan in which no lumbar spine was found."""

"""Faults: what went wrong in the guard's own surroundings. A refusal is a value (`terms.Refusal`), never an exception.

GuardFault
├── SettingsFault   settings, keys or policies that cannot be used: every error at once
├── StateFault      the state directory: locked, unsafe, or a record shorter than its checkpoint
└── JournalFault    the record cannot be written, or is no longer to be trusted
"""


class GuardFault(Exception):
    """The parent of every fault."""


class SettingsFault(GuardFault):
    """Settings, keys or policies that cannot be used.

    Attributes:
        errors: one sentence each, naming file and key, saying what to do.
    """

    def __init__(self, errors: list[str]) -> None:
        super().__init__("\n".join(errors))
        self.errors = errors


class StateFault(GuardFault):
    """The state directory does not allow a start; the message says why and what to do."""


class JournalFault(GuardFault):
    """The journal cannot take a record. Risk-increasing orders stop; cancels pass."""

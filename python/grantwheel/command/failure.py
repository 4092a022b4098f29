"""How a command ends that could not do what it should."""


class UsageError(Exception):
    """The arguments do not go together. The text says which."""


class CommandError(Exception):
    """It could not be done. The text says why, and the command ends with the code."""

    def __init__(self, why: str, code: int) -> None:
        super().__init__(why)
        self.code = code

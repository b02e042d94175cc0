"""The one exception that users meet: a single clear line."""


class InputError(ValueError):
    """Something that the user gave is wrong.

    The message is one line that names the key or file, the value found, and what would be right.
    """

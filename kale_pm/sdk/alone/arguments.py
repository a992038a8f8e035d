"""A step that reads values from a file: arguments that no code can say."""

# Nothing is imported from __future__: all that the step is alone with would be read so, too.


def taking(path: str, *used: object) -> object:  # noqa: ARG001 - what is said here is known here
    """The arguments that the step was called with; their file names what is ``used`` of here."""
    from pathlib import Path

    import cloudpickle

    return cloudpickle.loads(Path(path).read_bytes())

"""Requirements and package indexes as the settings name them.

A pod hands them to pip on a shell's command line, and a compiled pipeline shows them to everybody:
so neither may hold what a shell reads, nor a password.
"""

from __future__ import annotations

import re
from functools import cache
from urllib.parse import urlsplit

_INDEX = re.compile(r"https?://[A-Za-z0-9.-]+(:\d{1,5})?(/[A-Za-z0-9._~%+@/-]*)?")
_READ_BY_SHELLS = re.compile(r"['\\$`\x00-\x1f\x7f]")


def requirement(text: str) -> str:
    """A requirement as pip takes it, such as ``torch==2.3.0+cpu``, in its usual spelling.

    Raises ValueError, with what to write instead, for options, paths, files of this machine
    and addresses with a password.
    """
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        parsed = Requirement(text)
    except InvalidRequirement:
        raise ValueError(
            f"'{text}' is no requirement: write a name and versions, as in pandas>=2, or "
            "NAME @ https://..."
        ) from None
    if parsed.url is not None:
        address = urlsplit(parsed.url)
        if "file" in address.scheme or not address.scheme:
            raise ValueError(f"no pod can reach '{parsed.url}': build it into the image")
        if address.password or (address.username and "ssh" not in address.scheme):
            raise ValueError(_password(parsed.name))
    spelt = str(parsed)
    if _READ_BY_SHELLS.search(spelt):
        raise ValueError(f"'{text}' holds a character that a shell would read")
    return spelt


def requirement_name(text: str) -> str:
    """The name of the distribution that a requirement asks for.

    >>> requirement_name("torch==2.3.0+cpu")
    'torch'
    """
    from packaging.requirements import Requirement

    return Requirement(text).name


@cache
def canonical_name(text: str) -> str:
    """That name in the one spelling that pip compares by.

    >>> canonical_name("Scikit_Learn>=1.5")
    'scikit-learn'
    """
    from packaging.utils import canonicalize_name

    return canonicalize_name(requirement_name(text))


def package_index(text: str) -> str:
    """The address of a package index; ValueError where pip cannot be given it openly."""
    try:
        address = urlsplit(text)
    except ValueError:
        raise ValueError(f"'{text}' is no address") from None
    if "@" in address.netloc:
        raise ValueError(_password(address.hostname or "an index"))
    if not _INDEX.fullmatch(text):
        raise ValueError(f"'{text}' is no address such as https://packages.example.org/simple")
    return text


def _password(what: str) -> str:
    return (
        f"the address of {what} holds a user or password, which everybody who sees the pipeline "
        "could read: put the whole address into a Kubernetes secret, and add the option "
        "secret:NAME:KEY:PIP_EXTRA_INDEX_URL"
    )

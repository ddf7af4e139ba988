"""Reads a CloudFormation template written with short tags (!Ref, !Sub, ...) into plain dictionaries."""

from typing import Any


def template(text: str) -> dict[str, Any]:
    """The template; a tag becomes its long form. Fails when the text is not a template."""
    from cfnlint.decode import decode_str  # takes a second to import

    loaded, faults = decode_str(text)
    assert faults == [], faults
    return loaded

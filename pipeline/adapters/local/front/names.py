"""Room: adapters/local/front. Generated names that are a stack's own, as on AWS.

ministack hashes only the stack's name and the logical id, so two accounts, two Regions of one account, or a stack
and its successor get the same names: IAM roles of two Regions overwrite each other, and updating a function ends
the workers of its namesakes in other accounts.
"""

from __future__ import annotations

__all__ = ["install_names"]


def install_names() -> None:
    """Put the stack's id into the hash; the name stays the same for as long as the stack lives."""
    from ministack.services.cloudformation import _stacks, provisioners

    original = provisioners._physical_name

    def own_name(
        stack_name: str, logical_id: str, *, lowercase: bool = False, max_len: int = 128, seeded: bool = True
    ) -> str:
        stack_id = (_stacks.get(stack_name) or {}).get("StackId", "")
        replaced = provisioners._NAME_SEED.get() if seeded else ""
        token = provisioners._NAME_SEED.set(stack_id + replaced)
        try:
            return str(original(stack_name, logical_id, lowercase=lowercase, max_len=max_len))
        finally:
            provisioners._NAME_SEED.reset(token)

    provisioners._physical_name = own_name

"""Warn about a public name for two minor versions before it is removed."""

import functools
import warnings
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def warn_deprecated(name: str, since: str, removal: str, use: str, stacklevel: int = 2) -> None:
    """Warn that a name is deprecated, with a `FutureWarning`: users see it by default.

    Args:
        name: what is deprecated, as the user writes it.
        since: the version that warns first, such as `"0.3"`.
        removal: the version without the name: two minor versions later, or a later major one.
        use: what to write instead.
        stacklevel: the frame that the warning points at. Defaults to 2: the caller of the function
            that calls this one.
    """
    warnings.warn(
        _format_message(name, since, removal, use), FutureWarning, stacklevel=stacklevel + 1
    )


def deprecate(since: str, removal: str, use: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Decorate a function or method that warns when it is called; see `warn_deprecated`.

    Examples:
        >>> @deprecate(since="0.3", removal="0.5", use="encode")
        ... def to_code(x):
        ...     return 2 * x
        >>> with warnings.catch_warnings(record=True, action="always") as caught:
        ...     code = to_code(1)
        >>> print(code, caught[0].message)
        2 `to_code` is deprecated since 0.3 and will be removed in 0.5; use `encode` instead.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        message = _format_message(function.__qualname__, since, removal, use)

        @functools.wraps(function)
        def warn_and_call(*args: P.args, **kwargs: P.kwargs) -> T:
            warnings.warn(message, FutureWarning, stacklevel=2)
            return function(*args, **kwargs)

        return warn_and_call

    return decorate


def _format_message(name: str, since: str, removal: str, use: str) -> str:
    start, end = (tuple(map(int, version.split(".")[:2])) for version in (since, removal))
    if end < (start[0], start[1] + 2):
        raise ValueError(f"`{name}` warns since {since}: remove it two minor versions after that.")
    period = f"since {since} and will be removed in {removal}"
    return f"`{name}` is deprecated {period}; use `{use}` instead."

"""The order of the paired units of a hidden layer that starts as PCA."""


def locate_pairs(n_components: int, pairs: int) -> tuple[slice, slice]:
    """The first and the second units of the pairs of a hidden layer.

    For k components and p pairs, units `0 .. k - 1` carry the scores; unit `k + i` and
    unit `k + p + i` are a pair, for i from 0 to p - 1.
    """
    first = slice(n_components, n_components + pairs)
    second = slice(first.stop, first.stop + pairs)
    return first, second

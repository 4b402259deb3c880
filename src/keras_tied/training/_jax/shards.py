"""Rows over the devices of a `keras.distribution`. See ../README.md."""

from collections.abc import Sequence
from typing import Any

import jax
import keras
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from keras_tied._processes import count_places, list_owners
from keras_tied._types import Array
from keras_tied.training._data import BatchedRows
from keras_tied.training._jax.partial_sums import PartialSums

Arrays = dict[tuple[int, bool], jax.Array]  # by the id of the host's array and how it is kept


class Shards:
    def __init__(
        self, distribution: keras.distribution.DataParallel | keras.distribution.ModelParallel
    ) -> None:
        self.mesh = distribution.device_mesh.backend_mesh
        self.axis = distribution.batch_dim_name
        self.owners, self.n_places = list_owners(), count_places()
        self.groups = list(dict.fromkeys(self.owners))
        self.first = [jax.process_index() in owners for owners in self.owners].index(True)
        self.replicated = NamedSharding(self.mesh, PartitionSpec())
        self.by_place = NamedSharding(self.mesh, PartitionSpec(self.axis))

    def put(self, parts: Sequence[Array], axis: int = 0) -> jax.Array:
        """An array whose parts, of equal shapes, lie in one place each; this process has some."""
        shape, length = list(parts[0].shape), parts[0].shape[axis]
        shape[axis] *= len(self.owners)
        sharding = NamedSharding(self.mesh, PartitionSpec(*[None] * axis, self.axis))

        def get_part(index: Any) -> Array:
            place: int = (index[axis].start or 0) // length - self.first
            return parts[place]

        return jax.make_array_from_callback(tuple(shape), sharding, get_part)

    def deal(self, rows: BatchedRows) -> Array:
        """The positions in an epoch that each place of this process takes, `(places, n)`."""
        last = rows.largest - rows.full * rows.batch_size
        begins = np.arange(rows.full + (last > 0)) * rows.batch_size
        positions = [self._spread(begins[: rows.full], rows.batch_size)]
        if last:
            positions.append(self._spread(begins[rows.full :], last))
        dealt: Array = np.minimum(np.concatenate(positions, axis=1), rows.count - 1)
        return dealt

    def _spread(self, begins: Array, size: int) -> Array:
        within = np.minimum(np.arange(self.n_places * self.count_share(size)), size - 1)
        return (begins[:, None] + within.reshape(self.n_places, 1, -1)).reshape(self.n_places, -1)

    def count_share(self, size: int) -> int:
        """The rows that a place takes of `size` rows of a process."""
        return -(-size // self.n_places)


class ShardedRows:
    """Rows on the devices of a distribution; see `DeviceRows`."""

    def __init__(self, rows: BatchedRows, arrays: Arrays, shards: Shards, has_orders: bool) -> None:
        self.rows, self.shards, self.full = rows, shards, rows.full
        self.positions = shards.deal(rows)
        firsts = [group[0] if len(rows.counts) > 1 else 0 for group in shards.groups]
        lasts = [rows.counts[process] - rows.full * rows.batch_size for process in firsts]
        self.size, self.last = rows.batch_size * len(shards.groups), sum(lasts)
        self.share = shards.count_share(rows.batch_size)
        self.sizes = {self.last: lasts}
        if self.full:
            self.sizes[self.size] = [rows.batch_size] * len(lasts)
        leaves, self.structure = jax.tree.flatten(rows.data)
        self.places = []
        for leaf in leaves:
            key = id(leaf), has_orders
            if key not in arrays:
                whole = leaf
                if len(leaf) < rows.largest:
                    whole = np.resize(leaf, (rows.largest, *leaf.shape[1:]))
                parts = [whole if has_orders else leaf[mine] for mine in self.positions]
                arrays[key] = shards.put(parts)
            self.places.append(list(arrays).index(key))
        self.key = self.full, self.sizes, self.structure, self.places

    def put_orders(self, orders: Array) -> jax.Array:
        """The orders of the rows of this process, `(epochs, rows)`, on the devices."""
        return self.shards.put([orders[:, mine] for mine in self.positions], axis=1)

    def batch(self, arrays: Sequence[Any], begin: Any, size: int, order: Any) -> Any:
        """The rows `begin .. begin + size - 1` of all processes; see `DeviceRows`."""
        lengths = self.sizes[size]
        share = self.shards.count_share(max(lengths))
        spec = self.shards.by_place.spec
        dealt = np.arange(self.shards.n_places * share * len(lengths)).reshape(len(lengths), -1)
        kept = np.concatenate([row[:length] for row, length in zip(dealt, lengths, strict=True)])

        def take(array: Any, order: Any, offset: Any) -> Any:
            if order is None:
                return jax.lax.dynamic_slice_in_dim(array, offset, share)
            return array[jax.lax.dynamic_slice_in_dim(order, offset, share)]

        take_everywhere = jax.shard_map(
            take, mesh=self.shards.mesh, in_specs=(spec, spec, PartitionSpec()), out_specs=spec
        )
        leaves = []
        for place in self.places:
            rows = take_everywhere(arrays[place], order, begin // self.size * self.share)
            if len(kept) < dealt.size:
                rows = jax.lax.with_sharding_constraint(rows[kept], self.shards.by_place)
            leaves.append(rows)
        return jax.tree.unflatten(self.structure, leaves)

    def hold_sums(self, size: int) -> PartialSums | None:
        """The evaluation of a step that adds sums over the places once; None if it cannot."""
        n_places = len(self.shards.owners)
        if size % n_places or self.shards.mesh.size > n_places:
            return None
        return PartialSums(size, n_places, self.shards.by_place)

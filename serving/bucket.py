"""The look-up bucket of a user, without Spark."""

from __future__ import annotations

import xxhash

# Spark's F.xxhash64 starts from this seed.
SEED = 42
USER_BUCKETS = 256


def user_bucket(user_id: str) -> int:
    """xxhash64(user_id) modulo 256, as lake.delta.user_bucket computes it in Spark: 0 to 255."""
    # 256 divides 2^64, so the unsigned hash leaves the same remainder as Spark's pmod of the signed one.
    return xxhash.xxh64_intdigest(user_id.encode(), seed=SEED) % USER_BUCKETS

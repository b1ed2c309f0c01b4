"""Chance as Spark expressions: every number is a hash of (seed, stream, id), so no partitioning can change it.

A stream is a name for one question ("which device", "which day"); two streams are independent of one another.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

from pyspark.sql import Column
from pyspark.sql import functions as F

_BITS = 53  # of a double's mantissa


def key_of(seed: int, stream: str) -> int:
    """A signed 64-bit number for a seed and a stream, the same on every machine."""
    digest = hashlib.blake2b(f"{seed}/{stream}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def uniform(seed: int, stream: str, number: Column) -> Column:
    """A double in [0, 1) for each id: the upper 53 bits of xxhash64(key, id)."""
    mixed = F.xxhash64(F.lit(key_of(seed, stream)).cast("long"), number.cast("long"))
    return F.shiftrightunsigned(mixed, 64 - _BITS) * F.lit(2.0**-_BITS)


def below(chance: Column, count: int | Column) -> Column:
    """A whole number in [0, count) from a uniform one."""
    return F.floor(chance * (F.lit(count) if isinstance(count, int) else count))


def pick(values: Sequence[str], chance: Column) -> Column:
    """One of the texts, all equally likely."""
    return texts(values)[below(chance, len(values)).cast("int")]


def choose(weights: Sequence[float], chance: Column) -> Column:
    """An index into the weights, each as likely as its weight; constant time however many there are.

    The alias method (Walker 1977; tables as in Vose 1991): one uniform number gives the slot and, by its
    fraction, whether the slot's own index or its alias is taken.
    """
    kept, alias = alias_tables(weights)
    slot = below(chance, len(weights)).cast("int")
    fraction = chance * F.lit(len(weights)) - slot
    return F.when(fraction < numbers(kept)[slot], slot).otherwise(numbers(alias)[slot].cast("int"))


def alias_tables(weights: Sequence[float]) -> tuple[list[float], list[int]]:
    """(probability of keeping the slot's own index, the alias) of each slot. Weights need not sum to 1."""
    count, total = len(weights), math.fsum(weights)
    scaled = [weight * count / total for weight in weights]
    kept, alias = [1.0] * count, list(range(count))
    small = [index for index, value in enumerate(scaled) if value < 1]
    large = [index for index, value in enumerate(scaled) if value >= 1]
    while small and large:
        low, high = small.pop(), large[-1]
        kept[low], alias[low] = scaled[low], high
        scaled[high] -= 1 - scaled[low]
        if scaled[high] < 1:
            small.append(large.pop())
    return kept, alias


def zipf_rank(count: int | Column, exponent: float, chance: Column) -> Column:
    """A rank in [0, count), rank r with a share of about (r + 1) ** -exponent; exactly `zipf_share`.

    The inverse of the bounded Pareto distribution's cumulative function on [1, count + 1), rounded down.
    """
    most = (F.lit(count) if isinstance(count, int) else count).cast("double")
    if exponent == 1:
        drawn = F.exp(chance * F.log(most + 1))
    else:
        power = 1 - exponent
        drawn = F.pow(chance * (F.pow(most + 1, F.lit(power)) - 1) + 1, F.lit(1 / power))
    return F.least(F.floor(drawn) - 1, most.cast("long") - 1)


def zipf_share(count: int | Column, exponent: float, rank: Column) -> Column:
    """The probability with which `zipf_rank` gives the rank."""
    most = (F.lit(count) if isinstance(count, int) else count).cast("double")

    def area(upto: Column) -> Column:
        return F.log(upto) if exponent == 1 else F.pow(upto, F.lit(1 - exponent)) - 1

    return (area(rank + 2.0) - area(rank + 1.0)) / area(most + 1)


def shuffled(seed: int, stream: str, number: Column, count: int) -> Column:
    """A permutation of [0, count): number x a + b modulo count, with a coprime to count. count below 2**31."""
    # So that neither the order of ids nor ties broken by it give away what was drawn first.
    key = key_of(seed, stream) % (1 << 62)
    factor = max(1, key % count)
    while math.gcd(factor, count) != 1:
        factor += 1
    return F.pmod(number.cast("long") * F.lit(factor) + F.lit(key // count % count), F.lit(count))


def numbers(values: Sequence[float]) -> Column:
    """array<double>, folded to a constant when the query is planned."""
    return F.split(F.lit(",".join(repr(float(value)) for value in values)), ",").cast("array<double>")


def texts(values: Sequence[str]) -> Column:
    """array<string>, folded likewise; no text may hold a tab."""
    return F.split(F.lit("\t".join(values)), "\t")

"""Country and currency codes, from pycountry (ISO 3166-1 and ISO 4217)."""

from __future__ import annotations

from functools import cache

import pycountry


@cache
def country_codes() -> dict[str, str]:
    """Lower-case name, official name, alpha-2 or alpha-3 code of a country, to its alpha-2 code."""
    codes: dict[str, str] = {}
    for country in pycountry.countries:
        names = (
            country.name, country.alpha_2, country.alpha_3,
            getattr(country, "common_name", None), getattr(country, "official_name", None),
        )  # fmt: skip
        for name in names:
            if name:
                codes[name.lower()] = country.alpha_2
    return codes


@cache
def currency_codes() -> dict[str, str]:
    """Lower-case code or name of a currency, to its alphabetic code."""
    codes = {currency.name.lower(): currency.alpha_3 for currency in pycountry.currencies}
    return codes | {currency.alpha_3.lower(): currency.alpha_3 for currency in pycountry.currencies}

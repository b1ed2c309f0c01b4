"""The eleven RFM segments, named by recency score and the mean of frequency and monetary scores.

The names and the shape of the grid are those retailers know (the "RFM segments" of Putler and of customer
analytics textbooks; the axes are recency and frequency-monetary). The rows of published grids overlap and
leave gaps; here every pair has exactly one segment.
"""

from __future__ import annotations

from typing import Final

CHAMPIONS: Final = "Champions"
LOYAL: Final = "Loyal"
POTENTIAL_LOYALIST: Final = "Potential Loyalist"
NEW_CUSTOMERS: Final = "New Customers"
PROMISING: Final = "Promising"
NEED_ATTENTION: Final = "Need Attention"
ABOUT_TO_SLEEP: Final = "About To Sleep"
AT_RISK: Final = "At Risk"
CANNOT_LOSE_THEM: Final = "Can't Lose Them"
HIBERNATING: Final = "Hibernating"
LOST: Final = "Lost"

SEGMENTS: Final = (
    CHAMPIONS, LOYAL, POTENTIAL_LOYALIST, NEW_CUSTOMERS, PROMISING, NEED_ATTENTION, ABOUT_TO_SLEEP, AT_RISK,
    CANNOT_LOSE_THEM, HIBERNATING, LOST,
)  # fmt: skip

# GRID[r - 1][fm - 1]: r from 1 (long ago) to 5 (just now), fm from 1 (seldom, little) to 5 (often, much).
GRID: Final = (
    (LOST, LOST, AT_RISK, AT_RISK, CANNOT_LOSE_THEM),
    (LOST, HIBERNATING, AT_RISK, AT_RISK, CANNOT_LOSE_THEM),
    (ABOUT_TO_SLEEP, ABOUT_TO_SLEEP, NEED_ATTENTION, LOYAL, LOYAL),
    (PROMISING, POTENTIAL_LOYALIST, POTENTIAL_LOYALIST, LOYAL, CHAMPIONS),
    (NEW_CUSTOMERS, POTENTIAL_LOYALIST, POTENTIAL_LOYALIST, CHAMPIONS, CHAMPIONS),
)

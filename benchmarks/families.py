"""What each family of the ranker's features is worth: `make bench-families`.

The ranker learns once with all features and once without each family, from the same lessons, and both order the same
candidates on the validation window: the figure is the paired difference of nDCG@10, with its 95 % interval. The
test window is not looked at. A family that adds nothing to all the others may still carry what they repeat.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.als_quality import SHARED
from benchmarks.console import Figures
from benchmarks.quality import METRIC, RETAIL, loaded
from jobs.factors import scratch
from jobs.job import Context
from jobs.train_models import inputs, workers
from lake.console import emit_table, say, step
from lake.settings import Settings
from models.bootstrap import Replicates, replicate
from models.hybrid import FEATURES, SCORERS, Parameters
from models.metrics import SCOPES
from models.ranker import score
from models.ranking_features import ENGAGEMENT, LIFTS, RECENT, SHARES, VALUE
from models.split import time_split
from models.training import learn, settled
from models.tuning import Class, rankers_class

# By name, the features that the ranker learns without.
FAMILIES = {
    **{source: (f"{source}_score", f"{source}_rank") for source in SCORERS},
    "repurchase": ("repurchase_score", "repurchase_rank"),
    "recency": ("x_idle", "x_recent30", "x_recent90", "x_recent180", "x_recent_rank"),
    "trips": ("x_trips_since", "x_trip_rate", "x_trips90", "x_trips97"),
    "cycle": ("x_due", "x_due_again", "x_since", "i_gap"),
    "trends": ("i_users7", "i_users14", "i_users30", "i_users90", "i_trend7", "i_trend30", "i_first30"),
    "price": ("i_price", "u_price", "b_price_gap"),
    "affinity": (*SHARES, *LIFTS, *RECENT),
    "lift": LIFTS,
    "lately": RECENT,
    "intent": ("x_cart_idle", "x_looks", "x_look_idle", "u_cart"),
    "value": tuple(VALUE.values()),
    "engagement": (*ENGAGEMENT.values(), "u_stage"),
    "rfm": ("u_recency", "u_frequency", "u_monetary", "u_r", "u_f", "u_m"),
}
WHOLE = "everything"


def worth(taught: Class, tasks: int, folder: str) -> Replicates:
    """The ranker with all features, and by family without it, on the users of the validation window."""
    scored, parameters = taught.features, Parameters()
    for name, without in {WHOLE: (), **FAMILIES}.items():
        left = tuple(feature for feature in FEATURES if feature not in without)
        with step(f"learning without {name}" if without else "learning from everything"):
            scored = score(scored, learn(taught.windows, left, parameters, tasks), f"{name}_w_score")
            scored = settled(scored, folder, f"scored-{name}")
    models = tuple(f"{name}_w" for name in (WHOLE, *FAMILIES))
    return replicate(taught.judged(scored, models), models)


def main() -> int:
    """Print the table and the BENCH lines; 2 without the data."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=RETAIL, action="append", help="may be given again; default: both")
    given = parser.parse_args()
    figures = Figures()
    for name in given.data or RETAIL:
        path, _ = RETAIL[name]
        if path is not None and not SHARED.exists():
            say(f"the data is not at {SHARED}; see docs/performance.md")
            return 2
        with tempfile.TemporaryDirectory(prefix="attune-families-") as home:
            settings = Settings(home=Path(home), missing_consent="granted")
            context = Context("families", loaded(name, path, settings), settings)
            log, folder = inputs(context), scratch(context, "families", "all")
            split = time_split(log.wanted, context.window.as_of)
            taught = rankers_class(log, split, folder, Parameters(), say)
            found = worth(taught, workers(context), folder)
        rows = []
        for family in FAMILIES:
            told: list[float | str] = []
            for scope in SCOPES:
                gain = found.difference(f"{WHOLE}_w", f"{family}_w", scope, METRIC)
                told += [f"{gain.value:+.4f}", f"{gain.low:+.4f} to {gain.high:+.4f}"]
                figures.add(f"gain_{name.replace('-', '')}_{family}_{scope}_ndcg10", gain.value, "-", 2)
            rows.append([family, *told])
        whole = [f"{scope} {found.estimate(f'{WHOLE}_w', scope, METRIC).value:.4f}" for scope in SCOPES]
        columns = ["family", *(text for scope in SCOPES for text in (f"gain, {scope} items", "95 %"))]
        emit_table(f"{name}: nDCG@10 with everything {', '.join(whole)}; what each family adds", columns, rows)
    return figures.end()


if __name__ == "__main__":
    sys.exit(main())

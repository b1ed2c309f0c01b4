"""The ranker as an MLflow model from code: MLflow runs this file when the model is loaded.

Input: a frame of the ranker's features. Output: scores, comparable within a user. It needs XGBoost and pandas
only, none of Attune, so that it can be served anywhere; Attune itself loads the JSON beside it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.pyfunc import PythonModel, PythonModelContext


class ServedRanker(PythonModel):
    """A booster restored from JSON; nothing is unpickled."""

    def load_context(self, context: PythonModelContext) -> None:
        """Restore the booster from the artefact "ranker"."""
        from xgboost import Booster

        kept = json.loads(Path(context.artifacts["ranker"]).read_text())
        self.features = list(kept["features"])
        self.booster = Booster(model_file=bytearray(json.dumps(kept["booster"]).encode()))

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> np.ndarray:
        """One score a row. Raises ValueError that lists the features a frame lacks."""
        missing = [name for name in self.features if name not in model_input.columns]
        if missing:
            raise ValueError(f"the frame lacks the features {missing}; it has {list(model_input.columns)}")
        return self.booster.inplace_predict(model_input[self.features].to_numpy(np.float32))


mlflow.models.set_model(ServedRanker())

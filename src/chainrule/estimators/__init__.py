"""Estimators: MLPClassifier and MLPRegressor in scikit-learn's contract.

`classifier` and `regressor` are the contract: what comes in, what is learnt, what goes out. `table`
says what each parameter means and may be, `fitting` carries it out.
"""

from chainrule.estimators.classifier import MLPClassifier
from chainrule.estimators.regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]

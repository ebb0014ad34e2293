"""No hidden layer: linear, logistic and softmax regression, against closed forms, scikit-learn."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, PoissonRegressor, Ridge

from chainrule.network import Network
from chainrule.optimizers import LBFGS, SGD
from chainrule.penalties import Penalty
from chainrule.training import train

EXACT = LBFGS(tolerance=1e-10)


def rows(n=80, outputs=1):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 4))
    return X, X @ rng.normal(size=(4, outputs)) + rng.normal(size=(n, outputs)) + 2.0


def regression(activation, outputs=1):
    return Network([4, outputs], [activation], initializers="zeros")


@pytest.mark.parametrize("weighted", [False, True])
def test_linear_regression_is_least_squares(weighted):
    X, Y = rows(outputs=2)
    w = np.linspace(0.1, 3, 80) if weighted else np.ones(80)
    net = regression("identity", 2)
    train(net, X, Y, weights=w, optimizer=EXACT, epochs=1000)
    design = np.hstack([X, np.ones((80, 1))]) * np.sqrt(w)[:, None]
    solution = np.linalg.lstsq(design, Y * np.sqrt(w)[:, None])[0]
    assert np.vstack([net.W[0], net.b[0]]) == pytest.approx(solution, abs=1e-8)


def test_gradient_descent_gets_there_too():
    X, Y = rows()
    net = regression("identity")
    train(net, X, Y, optimizer=SGD(0.3, 0.5), batch_size=80, epochs=300)
    solution = np.linalg.lstsq(np.hstack([X, np.ones((80, 1))]), Y)[0]
    assert np.vstack([net.W[0], net.b[0]]) == pytest.approx(solution, abs=1e-10)


def test_alpha_is_ridge():
    """scikit-learn's Ridge has Σ r² + α‖w‖², so ours is half of it, divided by n."""
    X, Y = rows()
    net = regression("identity")
    train(net, X, Y, penalty=Penalty(alpha=3.0), optimizer=EXACT, epochs=1000)
    ridge = Ridge(alpha=3.0, tol=1e-12).fit(X, Y[:, 0])
    assert net.W[0][:, 0] == pytest.approx(ridge.coef_, abs=1e-8)
    assert net.b[0] == pytest.approx(ridge.intercept_, abs=1e-8)


def test_logistic_regression_is_scikit_learns():
    """Its C multiplies the summed loss: ½‖w‖² + C Σ loss, so l2 = 1 / (C n)."""
    X, Y = rows()
    y = Y[:, 0] > 2
    net = regression("sigmoid")
    history = train(
        net,
        X,
        y[:, None],
        loss="binary_cross_entropy",
        l2=1 / (2.0 * 80),
        optimizer=EXACT,
        epochs=1000,
    )
    theirs = LogisticRegression(C=2.0, tol=1e-10, max_iter=1000).fit(X, y)
    assert pytest.approx(theirs.coef_, abs=1e-6) == net.W[0].T
    assert net.b[0] == pytest.approx(theirs.intercept_, abs=1e-6)
    assert net.predict(X)[:, 0] == pytest.approx(theirs.predict_proba(X)[:, 1], abs=1e-7)
    assert history.stop_reason.startswith("L-BFGS: converge")


def test_softmax_regression_is_scikit_learns():
    X, Y = rows()
    y = np.digitize(Y[:, 0], [1.0, 3.0])
    net = regression("softmax", 3)
    train(net, X, np.eye(3)[y], loss="cross_entropy", l2=1 / 80, optimizer=EXACT, epochs=1000)
    theirs = LogisticRegression(tol=1e-10, max_iter=1000).fit(X, y)
    assert pytest.approx(theirs.coef_, abs=1e-6) == net.W[0].T
    assert net.predict(X) == pytest.approx(theirs.predict_proba(X), abs=1e-7)


def test_poisson_regression_is_scikit_learns():
    X, _ = rows()
    y = np.random.default_rng(1).poisson(np.exp(X @ [0.3, -0.2, 0.1, 0.5] + 0.4)) * 1.0
    net = regression("exp")
    train(net, X, y[:, None], loss="poisson", l2=0.1, optimizer=EXACT, epochs=1000)
    theirs = PoissonRegressor(alpha=0.1, tol=1e-10, max_iter=1000).fit(X, y)
    assert net.W[0][:, 0] == pytest.approx(theirs.coef_, abs=1e-6)
    assert net.b[0] == pytest.approx(theirs.intercept_, abs=1e-6)


def test_absolute_error_and_quantiles_find_order_statistics():
    y = np.arange(11.0)[:, None] ** 2
    net = Network([1, 1], ["identity"], initializers="zeros")
    train(net, np.zeros((11, 1)), y, loss="absolute_error", optimizer=SGD(1.0), epochs=200)
    assert net.b[0] == pytest.approx(25, abs=1)  # the median

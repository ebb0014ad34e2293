"""The ladder: linear, logistic and softmax regression are networks, and so is what comes after.

    python examples/regression_ladder.py

A network without a hidden layer is a regression. Trained to the end, it must find what the normal
equations or scikit-learn find. One more number in a list, and it has a hidden layer.
"""

import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.linear_model import LogisticRegression

from chainrule import LBFGS, MLPClassifier, Network, Penalty, train

to_the_end = {"optimizer": LBFGS(tolerance=1e-12, memory=50), "epochs": 5000}

# Linear regression: identity at the end, squared error. The answer has a closed form.
X, y = load_diabetes(return_X_y=True)
X, y = (X - X.mean(axis=0)) / X.std(axis=0), (y - y.mean()) / y.std()
linear = Network([10, 1], ["identity"], initializers="zeros")
train(linear, X, y[:, None], loss="squared_error", **to_the_end)
A = np.column_stack([X, np.ones(len(X))])
w = np.linalg.solve(A.T @ A, A.T @ y)
apart = abs(np.append(linear.W[0], linear.b[0]) - w).max()
print(f"linear regression: weights apart from the normal equations': {apart:.1e}")
assert apart < 1e-6

# Logistic regression: sigmoid at the end, binary cross-entropy. scikit-learn's C is 1 / alpha.
X, y = load_breast_cancer(return_X_y=True)
X = (X - X.mean(axis=0)) / X.std(axis=0)
logistic = Network([30, 1], ["sigmoid"], initializers="zeros")
penalty = Penalty(alpha=1.0)
train(logistic, X, y[:, None], loss="binary_cross_entropy", penalty=penalty, **to_the_end)
theirs = LogisticRegression(C=1.0, tol=1e-12, solver="newton-cholesky").fit(X, y)
apart = abs(logistic.W[0].T - theirs.coef_).max()
print(f"logistic regression: weights apart from scikit-learn's: {apart:.1e}")
assert apart < 1e-6

# Softmax regression: an output for each class, cross-entropy.
X, y = load_digits(return_X_y=True)
X = (X - X.mean(axis=0)) / 16
softmax = Network([64, 10], ["softmax"], initializers="zeros")
train(softmax, X, np.eye(10)[y], loss="cross_entropy", penalty=penalty, **to_the_end)
theirs = LogisticRegression(C=1.0, tol=1e-10, max_iter=10_000).fit(X, y)
apart = abs(softmax.predict(X) - theirs.predict_proba(X)).max()
print(f"softmax regression: probabilities apart from scikit-learn's: {apart:.1e}")
assert apart < 1e-6

# Up the ladder: the same class with another list of widths, measured on rows it never saw.
seen = np.arange(len(X)) % 4 != 3
for hidden in [(), (32,), (32, 16, 8)]:
    model = MLPClassifier(hidden, "tanh", solver="lbfgs", alpha=10.0, max_iter=1000, random_state=0)
    model.fit(X[seen], y[seen])
    print(f"digits, hidden layers {hidden}: {model.score(X[~seen], y[~seen]):.1%} right")

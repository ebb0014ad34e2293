"""Digits 5 against 8: two handwritten digits told apart, and why a larger network did worse.

    python examples/digits_5_8.py

MNIST is downloaded the first time. Or name a folder that has a folder `mnist` with its files:

    CHAINRULE_DATA=DIR python examples/digits_5_8.py
"""

import numpy as np

from chainrule import SGD, Adam, Network, diagnose, load_dataset, train
from chainrule.plots import plot_first_weights, plot_loss, save_figure

# 60,000 digits to learn from and 10,000 to test on, a row of pixels from 0 to 1 each.
data = load_dataset("mnist")


def two(X, y):
    """Return the rows of 5s and 8s, and a column that has 0 for a 5 and 1 for an 8."""
    wanted = (y == 5) | (y == 8)
    return X[wanted], (y[wanted] == 8).astype("float32")[:, None]


X, Y = two(data.X, data.y)
X_test, Y_test = two(data.X_test, data.y_test)
print("X", X.shape, "Y", Y.shape)


def right(net):
    """Return the share of test rows that are on the right side of one half."""
    return np.mean((net.predict(X_test) > 0.5) == (Y_test > 0.5))


# The lesson: one hidden layer, sigmoid everywhere, and 200 steps down the slope of the mean cost
# over all rows.
pixels = X.shape[1]
net = Network([pixels, 196, 1], activations=["sigmoid", "sigmoid"], dtype="float32")
lesson = {"loss": "binary_cross_entropy", "optimizer": SGD(0.3), "batch_size": len(X)}
history = train(net, X, Y, **lesson, epochs=200)
print(f"one hidden layer, all rows at once: {right(net):.2%} of test rows right")
save_figure(plot_loss(history), "digits-5-8.png", force=True)

# More layers, and everything else as before: it learns nothing. Why?
sizes = [pixels, 196, 98, 49, 25, 1]
larger = Network(sizes, activations=["sigmoid"] * 5, dtype="float32")
history = train(larger, X, Y, **lesson, epochs=200)
print(f"larger, all sigmoid: {right(larger):.2%}")
finding = diagnose(larger, X, Y, **lesson, history=history)["vanishing_gradients"]
print(finding.sentence)
print(finding.remedy)

# As it says: relu, with the first weights that suit it. Steps this long jump up now and then, so
# the weights of the lowest cost are kept.
mended = Network(sizes, activations=["relu"] * 4 + ["sigmoid"], dtype="float32")
train(mended, X, Y, **lesson, epochs=200, restore_best_weights=True)
print(f"larger, relu: {right(mended):.2%}")

# And as one would do it today: steps after every 128 rows, by Adam, with a rate that rises and
# falls, and a fifth of the hidden units left out at random in each step.
ours = Network([pixels, 196, 1], activations=["relu", "sigmoid"], dtype="float32")
train(ours, X, Y, loss="binary_cross_entropy", optimizer=Adam(0.002), schedule="one_cycle",
      batch_size=128, epochs=15, dropout=0.2)  # fmt: skip
print(f"one hidden layer, batches of 128: {right(ours):.2%}")
save_figure(plot_first_weights(ours), "digits-5-8-weights.png", force=True)

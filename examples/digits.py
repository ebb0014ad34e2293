"""Digits: ten handwritten digits told apart by softmax.

    python examples/digits.py

MNIST is downloaded the first time. Or name a folder that has a folder `mnist` with its files:

    CHAINRULE_DATA=DIR python examples/digits.py
"""

import numpy as np

from chainrule import Adam, Network, ProgressBar, load_dataset, save_model, train
from chainrule.plots import plot_confusion_matrix, plot_first_weights, save_figure

data = load_dataset("mnist")
print(data)

# Ten outputs. The target of a 3 is 0 0 0 1 0 0 0 0 0 0.
Y, Y_test = np.eye(10)[data.y], np.eye(10)[data.y_test]

# Softmax makes probabilities of ten numbers: they are positive, and their sum is 1. float32 is
# exact enough for this, and twice as fast.
sizes = [data.X.shape[1], 512, 256, 10]
net = Network(sizes, activations=["relu", "relu", "softmax"], dtype="float32", seed=0)

# Cross-entropy is −log of the probability of the right digit, and its δ at the output is a − y.
# The rate rises to 0.002 and falls to nearly 0; a fifth of the hidden units drops out in each step.
history = train(
    net, data.X, Y, loss="cross_entropy", optimizer=Adam(0.002), schedule="one_cycle",
    batch_size=128, epochs=15, dropout=0.2, callbacks=[ProgressBar()],
)  # fmt: skip

probabilities = net.predict(data.X_test)
digits = probabilities.argmax(axis=1)
print(f"test accuracy {np.mean(digits == data.y_test):.2%}")
print("cost on the test rows", round(net.cost(data.X_test, Y_test, loss="cross_entropy"), 4))

# The surest of its mistakes:
wrong = np.flatnonzero(digits != data.y_test)
surest = wrong[probabilities[wrong].max(axis=1).argmax()]
print(f"row {surest} is a {data.y_test[surest]}, read as a {digits[surest]}", end=" ")
print(f"with a probability of {probabilities[surest].max():.1%}")

save_figure(plot_confusion_matrix(data.y_test, digits), "digits-confusion.png", force=True)
save_figure(plot_first_weights(net), "digits-weights.png", force=True)
save_model(net, "digits.chainrule", force=True)
print("the network is in digits.chainrule")

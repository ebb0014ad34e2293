"""The bare network: backpropagation in thirty lines, then the same by the library.

    python examples/bare_network.py

Read `forward`, `backward` and the loop; the rest of deep learning is refinement. In the textbook's
letters a sample is a column: W has the shape (units, inputs), and z = W a + b. chainrule keeps a
sample in a row, so its weights are these transposed.
"""

import numpy as np

from chainrule import ACTIVATIONS, SGD, Network, train

sigma = [ACTIVATIONS["tanh"], ACTIVATIONS["sigmoid"]]  # each has σ as `value`, σ′ as `derivative`


def forward(W, b, x):
    """Return all z and all a; a[0] is x (inputs, samples)."""
    z, a = [], [x]
    for l in range(len(W)):
        z.append(W[l] @ a[l] + b[l])
        a.append(sigma[l].value(z[l]))
    return z, a


def backward(W, y, z, a):
    """Return all dW and db of the cost: the mean over samples of half the squared error."""
    dW, db = [None] * len(W), [None] * len(W)
    dC_da = (a[-1] - y) / y.shape[1]
    for l in reversed(range(len(W))):
        delta = dC_da * sigma[l].derivative(z[l], a[l + 1])  # the error of layer l: BP1, then BP2
        db[l] = delta.sum(axis=1, keepdims=True)  # BP3
        dW[l] = delta @ a[l].T  # BP4
        dC_da = W[l].T @ delta  # what the layer before is blamed for
    return dW, db


# Points of a square, and whether each lies in a ring around its middle: no line parts them.
rng = np.random.default_rng(0)
x = rng.uniform(-1, 1, (2, 400))
radius = np.hypot(x[0], x[1])
y = ((radius > 0.4) & (radius < 0.8)).astype(float)[None]

# Two inputs, ten hidden units, one output; weights and biases drawn from N(0, 1).
W = [rng.normal(size=(10, 2)), rng.normal(size=(1, 10))]
b = [rng.normal(size=(10, 1)), rng.normal(size=(1, 1))]

# The library's network starts from the same numbers.
net = Network([2, 10, 1], activations=sigma)
for l in range(2):
    net.W[l][:], net.b[l][:] = W[l].T, b[l][:, 0]

z, a = forward(W, b, x)
dW, db = backward(W, y, z, a)
grads = net.backward(net.forward(x.T), y.T)
print("dW apart from the library's:", max(abs(dW[l].T - grads.dW[l]).max() for l in range(2)))

# 500 times over the data, 20 samples, which are columns, at a time, downhill at a rate of 0.5.
for _ in range(500):
    for first in range(0, 400, 20):
        batch = slice(first, first + 20)
        z, a = forward(W, b, x[:, batch])
        dW, db = backward(W, y[:, batch], z, a)
        for l in range(2):
            W[l] -= 0.5 * dW[l]
            b[l] -= 0.5 * db[l]

train(net, x.T, y.T, optimizer=SGD(0.5), batch_size=20, epochs=500, shuffle=False)
apart = max(abs(W[l].T - net.W[l]).max() for l in range(2))
print("weights apart after 10,000 updates:", apart)
assert apart < 1e-12

right = ((net.predict(x.T) > 0.5) == (y.T > 0.5)).mean()
print(f"points on the right side: {right:.1%}")

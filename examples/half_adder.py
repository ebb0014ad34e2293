"""The half adder: two bits to their sum and carry, from random weights to a picture.

    python examples/half_adder.py

A network of two inputs, two hidden units and two outputs learns a table of four rows. It is small
enough that each of its twelve weights and biases can be looked at.
"""

from chainrule import SGD, Network, check_gradients, fit_many, train
from chainrule.plots import plot_loss, save_figure

X = [[0, 0], [0, 1], [1, 0], [1, 1]]
Y = [[0, 0], [1, 0], [1, 0], [0, 1]]  # sum and carry

# Weights and biases uniform in [-1, 1), as in the original; the seed makes it repeatable.
net = Network([2, 2, 2], activations=["sigmoid", "sigmoid"], initializers="uniform", seed=0)

# One pass forward keeps every z and a; one pass back gives the derivative of the cost for each
# weight. The cost is the mean over rows of half the squared distance from the targets.
trace = net.forward(X)
grads = net.backward(trace, Y, loss="squared_error")
print("cost at first:", round(net.cost(X, Y), 4))
print("how the cost changes with the first layer's weights:")
print(grads.dW[0].round(5))

# Is that right? Move each weight a little both ways and measure the cost.
print(check_gradients(net, X, Y))

# Go downhill: all four rows at once, 20,000 times, at a learning rate of 0.5.
history = train(net, X, Y, optimizer=SGD(0.5), batch_size=4, epochs=20_000)
print(f"cost after 20,000 epochs: {net.cost(X, Y):.6f}")
print("(0, 0), (0, 1), (1, 0), (1, 1) are answered by sum and carry:")
print(net.predict(X).round(3))

# Not every start arrives. Here are a hundred, each with a seed of its own.
starts = [Network([2, 2, 2], ["sigmoid"] * 2, initializers="uniform", seed=s) for s in range(100)]
fit_many(starts, X, Y, optimizer=SGD(0.5), batch_size=4, epochs=20_000, record_every=1_000)
costs = [start.cost(X, Y) for start in starts]
print(sum(cost < 0.01 for cost in costs), "of 100 starts arrive; the worst cost is", end=" ")
print(round(max(costs), 3))

save_figure(plot_loss(history.records[::20]), "half-adder.png", force=True)
print("the cost curve is in half-adder.png")

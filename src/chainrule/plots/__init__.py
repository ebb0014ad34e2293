"""Pictures: what a training did, what a network is, and how well it answers.

    room            what is in it
    curves          loss, metric and gradient norms against epochs
    answers         confusion matrix, predicted against true values
    surfaces        functions of two inputs in 3-D, and the regions in which classes are predicted
    diagram         units and weights, with activations or δ on them
    histograms      weights and activations over the epochs
    images          the weights of the first layer, unit by unit
    rates           a learning-rate range test
    saving          the picture as a PNG file
    look, sources   the style that all share; what is drawn, found in models and plain data

Every function takes plain data, or finds it in a Network, a History or a fitted estimator, draws
on `ax` or on a new figure of its own, and returns the Axes. Figures are made without pyplot, so
the user's backend and settings stay as they are. An `ax` of your own has room for the labels
beside it in a figure made with layout="constrained".
"""

from chainrule.plots.answers import plot_confusion_matrix as plot_confusion_matrix
from chainrule.plots.answers import plot_prediction as plot_prediction
from chainrule.plots.curves import plot_gradient_norms as plot_gradient_norms
from chainrule.plots.curves import plot_loss as plot_loss
from chainrule.plots.curves import plot_metric as plot_metric
from chainrule.plots.diagram import plot_network as plot_network
from chainrule.plots.histograms import plot_histograms as plot_histograms
from chainrule.plots.images import plot_first_weights as plot_first_weights
from chainrule.plots.rates import plot_learning_rate_test as plot_learning_rate_test
from chainrule.plots.saving import save_figure as save_figure
from chainrule.plots.surfaces import plot_decision_regions as plot_decision_regions
from chainrule.plots.surfaces import plot_surface as plot_surface
from chainrule.plots.surfaces import plot_surfaces as plot_surfaces

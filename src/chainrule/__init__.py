"""chainrule: multilayer perceptrons by backpropagation, fast and open to the last derivative.

The four equations stand in `chainrule.network`. What is public, and where it lives, is listed once,
in `__init__.pyi`; each room is imported when one of its names is first asked for, so the network
level never waits for scikit-learn.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

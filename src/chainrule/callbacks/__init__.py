"""Callbacks: hooks into a training with Keras's names, and the ready-made ones.

    room            what is in it
    base            `Callback` and its hooks, `Training`, `OnEpoch`
    stopping        EarlyStopping, TimeLimit, TerminateOnNaN
    rates           LearningRateScheduler, ReduceLROnPlateau
    checkpoint      ModelCheckpoint
    recorder        HistogramRecorder
    loggers         CSVLogger, JSONLLogger
    trackers        TensorBoard, MLflow
    progress        ProgressBar
    crew            the callbacks of one training, and what happens when one fails

A hook returns True to stop the training. A callback that raises an exception loses no model: it is
left out from then on, a `CallbackFailed` warning tells which hook failed, when and why, and the
training goes on. Ctrl-C stays the user's. What is wrong with a callback's settings is told before
the first update instead, as a ValueError.

What is public is listed in `__init__.pyi`; each room is imported when it is first asked for.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

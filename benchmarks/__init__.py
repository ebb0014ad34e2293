"""Benchmarks: chainrule beside scikit-learn, PyTorch and JAX. Run `python -m benchmarks`."""

"""Tables: reduce them, fill their gaps, find and explain what is wrong in them."""

import lazy_loader

# `load` needs NumPy alone, and scikit-learn takes a second to import.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

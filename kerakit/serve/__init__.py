"""SavedModels behind HTTP, by TensorFlow Serving's REST API.

`kerakit serve savedmodels/` is the command; see docs/serve.md.
"""

from kerakit.serve.server import Service
from kerakit.serve.settings import Settings

__all__ = ["Service", "Settings"]

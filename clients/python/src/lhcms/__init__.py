"""A typed client of LHCMS. README.md beside this package has examples.

The package `lhcms.generated` is generated from the contract; it has a function for each operation.
"""

from .client import cases, connect
from .error import LhcmsError
from .files import UploadProgress, upload

__all__ = ["LhcmsError", "UploadProgress", "cases", "connect", "upload"]

"""edgewright: small text models for phones, trained, compressed, exported, verified and timed."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgewright.runtimes.opening import open_bundle as load

__version__ = "0.1.0"
__all__ = ["__version__", "load"]


def __getattr__(name: str) -> Any:
    # on first use only: `edgewright --help` must not wait for NumPy
    if name == "load":
        from edgewright.runtimes.opening import open_bundle

        return open_bundle
    raise AttributeError(f"module 'edgewright' has no attribute '{name}'")

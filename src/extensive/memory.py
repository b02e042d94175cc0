"""Memory of this process. Apart from `io`, which every rule's script imports: an edit here reruns few rules."""

import resource
import sys


def peak_resident_GiB() -> float:
    """Largest resident memory of this process so far, GiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB; bytes on macOS
    return peak / (2**30 if sys.platform == "darwin" else 2**20)

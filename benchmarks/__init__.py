"""Every claim of speed as a command, side by side with its peer."""

import sys

# PyTorch brings Triton, for GPUs. Its LLVM and TensorFlow's in one process end
# that process; a package that is None is one that is not installed.
sys.modules.setdefault("triton", None)

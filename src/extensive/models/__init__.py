"""Models: images go in, energies come out; the two networks, and trained networks as potentials of structures.

`files` reads and writes weights with what describes them, `domain` says what structures a model has seen.
Used by training, inference, evaluation, timing and figures' data; knows nothing of labels.
"""

from extensive.models.cnn import CNN
from extensive.models.config import ModelConfig
from extensive.models.ednn import EDNN
from extensive.models.files import load_model, save_model
from extensive.models.potential import Potential, build_model

__all__ = ["CNN", "EDNN", "ModelConfig", "Potential", "build_model", "load_model", "save_model"]

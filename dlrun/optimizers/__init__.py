"""What each optimizer does, with its numpy reference. The formulas are those of torch.optim.

Order within a step: gradients, clipping, weight decay, update. Slots keep torch's names and the
canonical layout of their weight. ``t`` counts updates from 1; scalars are float64 on the host.
"""

from dlrun.optimizers.adam import Adam, Adamax, AdamW, NAdam, RAdam, nadam_product
from dlrun.optimizers.adaptive import Adadelta, Adagrad, RMSprop
from dlrun.optimizers.base import Group, Optimizer, Slots, optimizers
from dlrun.optimizers.large import LAMB, Adafactor, Lion
from dlrun.optimizers.sgd import SGD

__all__ = [
    "LAMB",
    "SGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Group",
    "Lion",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "Slots",
    "nadam_product",
    "optimizers",
]

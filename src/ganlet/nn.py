"""Networks as plain modules: keyword arguments, usable weights straight from the constructor.

Generators take latents (N, latent_size) to images (N, C, H, W) in [-1, 1]; `generator.latents` draws such latents.
Discriminators take images to logits (N,), higher for real ones; `features(images)` is what their last layer sees.
Where `num_labels` is above 0, both take label vectors (N, num_labels) as a second argument.
"""

from ganlet.networks.attention import SelfAttention
from ganlet.networks.dcgan import DcganDiscriminator, DcganGenerator
from ganlet.networks.init import initialise
from ganlet.networks.interfaces import Discriminator, Generator, Logits
from ganlet.networks.latents import Latents
from ganlet.networks.mlp import MlpDiscriminator, MlpGenerator
from ganlet.networks.norms import add_spectral_norm
from ganlet.networks.optimizers import SCHEDULES
from ganlet.networks.resnet import ResnetDiscriminator, ResnetGenerator
from ganlet.networks.settings import DISCRIMINATORS, GENERATORS
from ganlet.networks.style import StyleGenerator
from ganlet.networks.zoo import parameter_count

__all__ = [
    "DISCRIMINATORS",
    "GENERATORS",
    "SCHEDULES",
    "DcganDiscriminator",
    "DcganGenerator",
    "Discriminator",
    "Generator",
    "Latents",
    "Logits",
    "MlpDiscriminator",
    "MlpGenerator",
    "ResnetDiscriminator",
    "ResnetGenerator",
    "SelfAttention",
    "StyleGenerator",
    "add_spectral_norm",
    "initialise",
    "parameter_count",
]

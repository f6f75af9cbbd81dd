"""Who plays against whom: a game is one function that reads like its paper, and says which networks it needs."""

from ganlet.games.game import Average, Batch, Game, Inputs, Player, Turn
from ganlet.games.gan import Gan
from ganlet.randomness import Numbers, derive

__all__ = ["GAMES", "Average", "Batch", "Game", "Gan", "Inputs", "Numbers", "Player", "Turn", "derive"]

GAMES: dict[str, type[Game]] = {"gan": Gan}

"""A generator in the lab: its space, whose weights it has, and what is kept about it in the folder `lab` of its run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ganlet.data.spec import Pack
from ganlet.engine.devices import choose_device
from ganlet.errors import DataError, MetricError, RunError
from ganlet.games import Game
from ganlet.images import center_crop
from ganlet.latent.space import Points, Space
from ganlet.metrics.extractors import GanletExtractor
from ganlet.metrics.mode_classifier import open_mode_classifier
from ganlet.runs.archive import is_generator_file
from ganlet.runs.certificate import Maker
from ganlet.runs.files import os_errors_explained
from ganlet.runs.folder import RunFolder
from ganlet.runs.hub import given_run, place_beside, stem_of
from ganlet.workflows.arguments import require_truncation
from ganlet.workflows.drawing import Drawing
from ganlet.workflows.generators import Trained, open_generator, open_generator_file
from ganlet.workflows.lab.judge import ModeJudge
from ganlet.workflows.lab.sheets import Sheet
from ganlet.workflows.labels import named_labels
from ganlet.workflows.reporting import Reporter, Silent
from ganlet.workflows.training_pack import training_pack

if TYPE_CHECKING:
    from ganlet.latent.painting import Painting
    from ganlet.workflows.lab.arithmetic import Sum
    from ganlet.workflows.lab.inversion import Inverted
    from ganlet.workflows.lab.known_directions import Known


class Lab:
    """What can be done with one generator. Nothing in here changes its run, but for the folder `lab` in it.

    Attributes:
        trained: the generator with its config.
        space: the space that it draws from.
        path: the folder where points, directions and pages are kept; it is made when something is.
        folder: the run; None where all there is is a generator.safetensors.
        reporter: where progress is told.
    """

    def __init__(
        self,
        trained: Trained,
        path: Path,
        folder: RunFolder | None = None,
        *,
        source: str | os.PathLike[str] | None = None,
        game: Game | type[Game] | None = None,
        reporter: Reporter | None = None,
    ) -> None:
        self.trained = trained
        self.path = path
        self.folder = folder
        self.game = game
        self.reporter = reporter or Silent()
        self.space = Space(trained.generator, None if trained.labels is None else trained.labels.draw(4_096, 0))
        self._source = source

    @classmethod
    def open(
        cls,
        run: str | os.PathLike[str],
        *,
        checkpoint: str | int | None = None,
        source: str | os.PathLike[str] | None = None,
        device: str = "auto",
        game: Game | type[Game] | None = None,
        reporter: Reporter | None = None,
    ) -> Lab:
        """The lab of a run, or of a generator.safetensors alone, which may be on the hub ("hf:OWNER/NAME").

        What it keeps lies in the run, else beside the file; in the current folder for what is on the hub.

        `checkpoint` is best, latest, or the images seen of one; `source` is where the run's pictures are now, if they
        were moved. Raises `RunError` where there is no generator.
        """
        path, chosen = given_run(run), choose_device(device)
        if is_generator_file(path):
            trained, folder = open_generator_file(path, chosen, game), None
            where = place_beside(run) / f"{stem_of(run, path)}-lab"
        else:
            folder = RunFolder.open(path)
            trained, where = open_generator(folder, checkpoint, chosen, game=game), _place_of(folder)
        return cls(trained, where, folder, source=source, game=game, reporter=reporter)

    def __repr__(self) -> str:
        return f"Lab({str(self.path.parent)!r}, {self.trained.images_seen:,} images seen)"

    @property
    def run(self) -> Path:
        """What is typed as RUN to open it again: the run's folder, its zip, or the lone file of a generator."""
        if self.folder is None:
            return self.path.with_name(f"{self.path.name.removesuffix('-lab')}.safetensors")
        return self.folder.sealed or self.folder.path

    @property
    def maker(self) -> Maker:
        """Whose weights draw, as certificates say it."""
        return self.trained.maker

    @property
    def weights(self) -> str:
        """The hash of the generator's weights: directions and styles mean nothing to others."""
        return self.maker.weights

    @property
    def num_labels(self) -> int:
        """Length of the label vectors; 0 without labels."""
        return self.trained.config.data.num_labels

    def sample(
        self, num: int, seed: int = 0, labels: torch.Tensor | None = None, truncation: float | None = None
    ) -> Points:
        """The points that `ganlet sample --seed` draws; labels (num, num_labels) are as in the source by default."""
        require_truncation(truncation)
        if labels is None and self.trained.labels is not None:
            labels = self.trained.labels.draw(num, seed)
        return self.space.sample(num, seed, labels, truncation)

    def labels_named(self, names: list[str], num: int, option: str = "--label") -> torch.Tensor:
        """Label vectors (num, num_labels); see `named_labels`."""
        return named_labels(names, num, self.trained.config, option)

    def points(
        self,
        *addresses: Any,
        option: str = "--from",
        labels: torch.Tensor | None = None,
        truncation: float | None = None,
    ) -> Points:
        """The points at addresses, as people have them in hand, under labels (N, num_labels); see `addresses.find`."""
        from ganlet.workflows.lab.addresses import find

        return find(self, addresses, option, labels, truncation)

    def keep(self, name: str, points: Points) -> Path:
        """Keep one point in the run under a name, by which it is found again; returns its file."""
        from ganlet.workflows.lab.addresses import keep

        return keep(self, name, points)

    def interpolate(self, *addresses: Any, steps: int = 10, **settings: Any) -> Drawing:
        """The way from picture to picture; see `walks.interpolate`."""
        from ganlet.workflows.lab.walks import interpolate

        return interpolate(self, addresses or (0, 1), steps, **settings)

    def grid(self, *corners: Any, rows: int = 8, columns: int = 8) -> Drawing:
        """The sheet between four pictures; see `walks.grid`."""
        from ganlet.workflows.lab.walks import grid

        return grid(self, corners or (0, 1, 2, 3), rows, columns)

    def mix(self, rows: Sequence[Any] = (), columns: Sequence[Any] = (), part: str = "coarse") -> Drawing:
        """A matrix of mixtures; see `walks.mix`."""
        from ganlet.workflows.lab.walks import mix

        return mix(self, rows, columns, part)

    def inside(self, network: str | None = None, layer: str | None = None, **settings: Any) -> Sheet:
        """A look into the networks, a layer, or a unit; see `units.inside`."""
        from ganlet.workflows.lab.units import inside

        return inside(self, network, layer, **settings)

    def map(self, method: str = "pca", num: int = 400, seed: int = 0, **settings: Any) -> Sheet:
        """Its pictures and the training pictures on a map, and how smooth the space is; see `structure.space_map`."""
        from ganlet.workflows.lab.structure import space_map

        return space_map(self, method, num, seed, **settings)

    def page(self, out: str | os.PathLike[str] | None = None, *, training_pictures: bool = True) -> Path:
        """Write the lab as a page of one file to play with, by default RUN/lab.html; see `page.write_page`."""
        from ganlet.workflows.lab.page.page import write_page

        return write_page(self, out, training_pictures=training_pictures)

    def find_directions(self, kinds: Sequence[str] = (), **settings: Any) -> list[Known]:
        """Find, measure and keep directions that edit pictures; see `directions.find_directions`."""
        from ganlet.workflows.lab.directions import find_directions

        return find_directions(self, kinds, **settings)

    @property
    def directions(self) -> dict[str, Known]:
        """What is known of these weights, by name, the best first."""
        from ganlet.workflows.lab.known_directions import load_all

        return {known.name: known for known in load_all(self)}

    def edit(self, *addresses: Any, along: str | Sequence[str] = (), steps: int = 7) -> Drawing:
        """Pictures moved along directions; see `edits.edit`."""
        from ganlet.workflows.lab.edits import edit

        return edit(self, addresses, [along] if isinstance(along, str) else along, steps)

    def arithmetic(
        self, plus: Sequence[Any] = (), minus: Sequence[Any] = (), to: Sequence[Any] = (), **settings: Any
    ) -> Sum:
        """Pictures with a thing, less some without, added to others; see `arithmetic.arithmetic`."""
        from ganlet.workflows.lab.arithmetic import arithmetic

        return arithmetic(self, plus, minus, to, **settings)

    def invert(self, *pictures: Any, **settings: Any) -> Inverted:
        """The points of pictures of any origin; see `inversion.invert`."""
        from ganlet.workflows.lab.inversion import invert

        return invert(self, pictures, **settings)

    def paint(self, picture: Any = 0, **settings: Any) -> tuple[Drawing, Painting]:
        """Pictures that fit a part of one; see `inversion.paint`."""
        from ganlet.workflows.lab.inversion import paint

        return paint(self, picture, **settings)

    def draw(self, points: Points, how: Mapping[str, Any] | None = None, **layout: Any) -> Drawing:
        """The pictures of points, which can be saved with their certificate; `layout` is that of `Drawing`."""
        return Drawing.of(self.space, points, self.maker, how or {"verb": "draw"}, **layout)

    @cached_property
    def pack(self) -> Pack:
        """The pictures that the run was trained on. Raises DataError where they are gone, RunError without a run."""
        if self.folder is None:
            raise RunError(
                "This generator is without its run, so its training pictures are not known.",
                where=self.path,
                hint="give the folder of its run in place of the file",
            )
        self.trained, pack = training_pack(self.folder, self.trained, self._source, "explore", self.reporter)
        return pack

    @cached_property
    def training_pictures(self) -> np.ndarray:
        """The training pictures as shown, uint8 (N, H, W, C)."""
        return center_crop(self.pack.pictures, self.trained.config.data.size)

    @cached_property
    def extractor(self) -> GanletExtractor:
        """What perceptual distances are measured in: the network that is shipped."""
        return GanletExtractor(self.space.device)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Features (N, F) of float images (N, C, H, W) in [-1, 1], with gradients if wanted."""
        return self.extractor(images.clamp(-1.0, 1.0).add(1.0).mul(127.5).permute(0, 2, 3, 1))[0]

    @cached_property
    def judge(self) -> ModeJudge | None:
        """What tells the attributes of pictures, where the source has known ones; None where it has not.

        It is trained on the source at the first time, in about ten seconds.
        """
        progress = partial(self.reporter.progress, "learning to tell kinds of pictures apart")
        try:
            classifier = open_mode_classifier(
                self.pack, self.trained.config.data.size, self.space.device, progress=progress
            )
        except (MetricError, RunError):
            return None
        except DataError as error:
            self.reporter.say(f"{error.what} So nobody tells what pictures show.")
            return None
        return ModeJudge.of(classifier)


def _place_of(folder: RunFolder) -> Path:
    """Where a lab keeps what it makes: in the run, or beside its zip, with what was kept in there before."""
    lab = folder.path / "lab"
    if folder.sealed is None:
        return lab
    beside = folder.sealed.with_name(f"{folder.sealed.stem}-lab")
    if lab.is_dir() and not beside.exists():
        with os_errors_explained(beside):
            shutil.copytree(lab, beside)
    return beside

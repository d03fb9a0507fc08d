"""A named way to train: what it is, what it reaches, and its recipe for each size of data set."""

from dataclasses import dataclass

from host.train.recipe import Recipe


@dataclass(frozen=True)
class Scope:
    """The data sets that a recipe is for; what is not limited is any."""

    images: float = float("inf")  # most training images
    side: float = float("inf")  # longest side of an image in pixels

    def holds(self, image_shape: tuple[int, int], images: int) -> bool:
        """Return whether this many training images (H, W) are within the limits."""
        return images <= self.images and max(image_shape) <= self.side


ANY = Scope()


@dataclass(frozen=True)
class Preset:
    """A name with recipes, of which the first whose scope holds a data set is taken; the last one's is `ANY`."""

    name: str
    summary: str
    figure: str
    recipes: tuple[tuple[Scope, Recipe], ...]

    def recipe_for(self, image_shape: tuple[int, int], images: int = 0) -> Recipe:
        """Return the recipe for this many training images (H, W)."""
        return next(recipe for scope, recipe in self.recipes if scope.holds(image_shape, images))

    @property
    def has_front_end(self) -> bool:
        """Whether its nets begin with layers that are never trained."""
        return any(recipe.architecture((32, 32), 2).fixed > 0 for _, recipe in self.recipes)

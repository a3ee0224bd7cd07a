"""Training batches of one kind, and from some epoch on of another."""


class BatchesInTurn:
    """Batches of two kinds from one source, such as with mosaics, and at the end without.

    A batch stays a function of (seed, step) alone, so that a run resumes as with one kind.

    Args:
        first: `TrainingBatches` or `DetectionBatches`.
        second: Others of as many steps an epoch.
        from_epoch: The first epoch, counted from 0, of the second kind.

    Attributes:
        steps_per_epoch: For `fit`.

    Raises:
        ValueError: If the two have not as many steps, or `from_epoch` is negative.
    """

    def __init__(self, first, second, *, from_epoch):
        if first.steps_per_epoch != second.steps_per_epoch:
            raise ValueError(
                "`first` and `second` must have as many steps an epoch, got "
                f"{first.steps_per_epoch} and {second.steps_per_epoch}."
            )
        if from_epoch < 0:
            raise ValueError(f"`from_epoch` must be at least 0, got {from_epoch}.")
        self.first, self.second = first, second
        self.from_epoch = from_epoch
        self.steps_per_epoch = first.steps_per_epoch

    def starting_at(self, step):
        """tf.data of the batches from global step `step` on."""
        border = self.from_epoch * self.steps_per_epoch
        if step >= border:
            return self.second.starting_at(step)
        first, second = self.first.starting_at(step), self.second.starting_at(border)
        if first.element_spec != second.element_spec:
            # Joined they would have open shapes, for which no step is compiled.
            raise ValueError(
                "`first` and `second` must give batches of the same shapes, got "
                f"{first.element_spec} and {second.element_spec}."
            )
        return first.take(border - step).concatenate(second)

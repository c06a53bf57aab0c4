"""What a report shows."""

import ablate


class HowMany(ablate.Section):
    """The number of trials, in words."""

    title: str = "How many"

    def build(self, study, frames):
        return f"There are {len(frames.trials)} trials."

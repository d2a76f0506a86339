"""From a run's files to tables on which every difference carries its uncertainty."""

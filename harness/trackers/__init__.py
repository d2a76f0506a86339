"""Experiment trackers: TensorBoard, MLflow, W&B and Trackio, each in a process of its own.

A cell's worker starts one process for each tracker of `training.report_to` and writes lines of JSON
to it (`client`); the process reads them and calls the tracker's library (`process`). So a tracker
cannot change a result: the library draws from no random generator of the training, takes none of
its memory, and neither an error nor a server that hangs reaches the worker.
"""

"""Memory, energy and the device's ceilings, read where the work happens."""

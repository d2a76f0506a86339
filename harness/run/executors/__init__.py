"""Where cells run: in workers of this machine (`local`) or in this very process (`in_process`)."""

"""Tuning: a search over the options of training on dev, and the way from its best configuration to the champion."""

"""Registered model, and the rule by which a candidate becomes champion."""

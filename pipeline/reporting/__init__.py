"""Figures, tables and pages for people. Data in, pictures and text out."""

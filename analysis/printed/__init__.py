"""Figures for print: at a column's width, in vectors with their fonts, legible in grey. They need no browser."""

"""Whom a simulated campaign goes to, and what they say. Plain data."""

from __future__ import annotations

# (weight, (prefix, digits behind it, language))
COUNTRIES: tuple[tuple[int, tuple[str, int, str]], ...] = (
    (34, ("+4915", 9, "de")),
    (20, ("+336", 8, "fr")),
    (16, ("+447", 9, "en_GB")),
    (12, ("+5511", 9, "pt_BR")),
    (10, ("+9198", 8, "en")),
    (8, ("+1415", 7, "en_US")),
)
NAMES = ("Zoë", "Łukasz", "Ana María", "Jürgen", "Priya", "José", "Chloé", "Søren", "Ayşe", "Mei")
REPLIES = (
    "Yes please! 😍",
    "Is it there in size 42?",
    "Größe M, bitte",
    "¿Hasta cuándo?",
    'He said "no" <twice>',
    "Merci à vous / danke",
)
LINKS = ("shop", "catalogue", "map")

"""Scenarios: (title, API whose versions are all tried, function(step, version, prefix)).

step(api, version or None for the latest, body or function of what was kept, ignore=fields, keep=name) sends it to
both brokers. Write more of these beside a feature, in a module of its own: they are cheap, and the real broker is the
judge. Names of topics begin with the prefix, so that scenarios do not meet. A module's SCENARIOS are found by themselves.
"""

import importlib
import pkgutil

SCENARIOS = [
    scenario
    for module in sorted(module.name for module in pkgutil.iter_modules(__path__))
    for scenario in getattr(importlib.import_module(f"{__name__}.{module}"), "SCENARIOS", ())
]

"""Charts as Vega-Lite figures."""

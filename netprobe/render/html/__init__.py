"""Reports as pages and pictures: HTML in one file, SVG.

`markup` is the one place that escapes for both; `cards` and `ladder` say what is shown, `lanes` and `ladder`
where, `style` in which colours.
"""

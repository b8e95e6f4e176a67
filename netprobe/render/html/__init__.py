"""Reports as pages and pictures: HTML in one file, SVG.

`elements` escapes what is no markup; `cards` and `ladder` say what is shown, `lanes` and `ladder`
where, `style` in which colours.
"""

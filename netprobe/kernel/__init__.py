"""System calls: bytes, numbers and descriptors in and out, made with the standard library alone.

What they mean is the business of `linux`.
"""

"""The tour of `mage-mcp demo`: a client of the real server over a simulated Mage, and a screen to show it on.

Nothing that is shown is written here but what the person asks; the rest comes out of the answers.
"""

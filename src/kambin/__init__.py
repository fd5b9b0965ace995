"""Measures and plans lumbosacral surgery on CT and MR scans."""

"""The digital patient: lumbosacral anatomy as exact shapes, its known truth, and the scanners that see it."""

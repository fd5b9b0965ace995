"""From a scan to named structures: networks and their training, models as files, inference, names by anatomy.

Training needs PyTorch and is imported only where it is asked for; a model runs without it.
"""

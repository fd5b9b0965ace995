"""Planning the way in: where a channel or a needle can go, what it would touch, and how sure that is."""

from kambin.planning.approaches import APPROACHES, Approach
from kambin.planning.plan import plan
from kambin.planning.result import Plan, Plans
from kambin.planning.wishes import Wishes

__all__ = ["APPROACHES", "Approach", "Plan", "Plans", "Wishes", "plan"]

"""What a model costs: parameters, multiply-accumulates, FLOPs, memory and receptive field."""

from kerakit.cost import formulas
from kerakit.cost.report import report
from kerakit.cost.rule import Call, Cost
from kerakit.cost.table import Report, Row

__all__ = ["Call", "Cost", "Report", "Row", "formulas", "report"]
